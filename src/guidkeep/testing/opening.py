"""The fixtures of the contract, which open the store under test.

The test module defines the fixture `new_url`: it returns a function that makes URLs, each of an
empty store that no other test uses.
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
"""The store's timeout in seconds, long because a busy machine is no failure."""


def opener_of(url: str) -> Opener:
    """Returns a function that opens the store at that URL for a `with` block."""

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
    """Opens one store, which is empty the first time and then keeps its records."""
    return opener_of(new_url())


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    """An empty store."""
    async with opener() as opened:
        yield opened


@pytest.fixture
def thousands() -> int:
    """The number of records written at once, six at least; a slow store may return fewer."""
    return 3000
