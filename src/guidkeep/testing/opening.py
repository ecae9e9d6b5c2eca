"""How the store under test is opened: the fixtures of the contract.

The fixture `new_url` is yours: it returns what makes URLs, each of a store that is empty and that
no other test uses.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from guidkeep.metrics import Metrics
from guidkeep.stores import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from guidkeep.stores import Store

    Opener = Callable[[], AbstractAsyncContextManager[Store]]

TIMEOUT = 120.0
"""Seconds that a store may take: a busy machine is no failure."""


def opener_of(url: str) -> Opener:
    """What opens the store at that URL, and closes it at the end of the `with` block."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Store]:
        store = await open_store(url, timeout=TIMEOUT, metrics=Metrics())
        try:
            yield store
        finally:
            await store.close()

    return opened


@pytest.fixture
def opener(new_url: Callable[[], str]) -> Opener:
    """Opens one store: empty the first time, and as it was left each time after that."""
    return opener_of(new_url())


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    """An empty store."""
    async with opener() as opened:
        yield opened


@pytest.fixture
def thousands() -> int:
    """How many records are written at once, six at least; a slow store may say less."""
    return 3000
