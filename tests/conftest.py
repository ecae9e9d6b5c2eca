"""Fixtures that all tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.engines import Engines
from tests.support import Clock, make_registry, opened_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from guidkeep.registry import Registry
    from guidkeep.stores import Store


# A busy machine is no failure: how fast examples are made and run is not what the tests are about.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Real servers; see `tests.engines`."""
    running = Engines(tmp_path_factory.mktemp("engines"))
    yield running
    running.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened_store(tmp_path / "guidkeep.db") as opened:
        yield opened


@pytest.fixture
async def registry(store: Store, clock: Clock) -> AsyncIterator[Registry]:
    made = make_registry(store, clock=clock)
    yield made
    await made.close()
