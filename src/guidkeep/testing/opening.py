"""The fixtures of the contract, which open the store under test.

The test module defines the fixture `new_url`: it returns a function that makes URLs, each of an
empty store that no other test uses.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import pytest

from guidkeep.metrics import Metrics
from guidkeep.stores import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from guidkeep.stores import Store

TIMEOUT = 120.0
"""The store's timeout in seconds, long because a busy machine is no failure."""


class Opener(Protocol):
    """Opens the store under test for a `with` block.

    Args:
        timeout: the store's timeout in seconds.
        metrics: receives the store's metrics, if a test looks at them.
    """

    def __call__(
        self, *, timeout: float = TIMEOUT, metrics: Metrics | None = None
    ) -> AbstractAsyncContextManager[Store]: ...


def opener_of(url: str) -> Opener:
    """Returns a function that opens the store at that URL."""

    @asynccontextmanager
    async def opened(
        *, timeout: float = TIMEOUT, metrics: Metrics | None = None
    ) -> AsyncIterator[Store]:
        store = await open_store(url, timeout=timeout, metrics=metrics or Metrics())
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
