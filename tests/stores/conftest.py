"""The stores that keep the contract, by name.

`opener` opens the store under test: it is empty the first time in a test and then keeps its
records.
"""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import pytest

from guidkeep.metrics import Metrics
from guidkeep.stores import open_store
from tests.engines import STORES
from tests.support import STORE_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from guidkeep.stores import Store
    from tests.engines import Engines


class Opener(Protocol):
    def __call__(
        self, *, timeout: float = STORE_TIMEOUT, metrics: Metrics | None = None
    ) -> AbstractAsyncContextManager[Store]: ...


def opener_of(url: str) -> Opener:
    @asynccontextmanager
    async def opened(
        *, timeout: float = STORE_TIMEOUT, metrics: Metrics | None = None
    ) -> AsyncIterator[Store]:
        store = await open_store(url, timeout=timeout, metrics=metrics or Metrics())
        try:
            yield store
        finally:
            await store.close()

    return opened


def sqlite_urls(folder: Path) -> Callable[[], str]:
    """Returns a function that makes URLs; the first is that of the fixture `file`."""
    names = itertools.chain(["guidkeep.db"], map("guidkeep-{}.db".format, itertools.count(2)))
    return lambda: f"sqlite:///{folder / next(names)}"


@pytest.fixture(params=STORES)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Returns a function that makes URLs of empty stores, which no other test uses."""
    if request.param == "sqlite":
        return sqlite_urls(tmp_path)
    engines: Engines = request.getfixturevalue("engines")
    return engines.get(request.param).fresh


@pytest.fixture
def opener(new_url: Callable[[], str]) -> Opener:
    return opener_of(new_url())


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    async with opener() as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "guidkeep.db"
