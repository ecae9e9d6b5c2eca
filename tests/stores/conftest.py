"""The stores that the contract holds for: one row each.

A row is an async context manager that opens the store under test, empty the first time in a
test and as it was left each time after that.
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
    from pathlib import Path

    from guidkeep.stores import Store


class Opener(Protocol):
    def __call__(
        self, *, timeout: float = 5.0, metrics: Metrics | None = None
    ) -> AbstractAsyncContextManager[Store]: ...


def sqlite(folder: Path) -> Opener:
    @asynccontextmanager
    async def opened(
        *, timeout: float = 5.0, metrics: Metrics | None = None
    ) -> AsyncIterator[Store]:
        url = f"sqlite:///{folder / 'guidkeep.db'}"
        store = await open_store(url, timeout=timeout, metrics=metrics or Metrics())
        try:
            yield store
        finally:
            await store.close()

    return opened


STORES: dict[str, Callable[[Path], Opener]] = {"sqlite": sqlite}


@pytest.fixture(params=list(STORES.values()), ids=list(STORES))
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    made: Opener = request.param(tmp_path)
    return made


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    async with opener() as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "guidkeep.db"
