"""Each record operation is tested through the application itself and through a live server.

The live server answers cache hits before the application sees the request, so whatever holds
for the one must be seen on the other too. It is one server for all tests: they keep out of
each other's way by GUIDs of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guidkeep.caches import open_cache
from guidkeep.record import new_guid
from tests.http.helpers import Api
from tests.support import MARCH_2015, Clock, app_of, make_registry, opened_store, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from guidkeep.server import Running


@pytest.fixture(scope="session")
def server_clock() -> Clock:
    return Clock()


@pytest.fixture
def clock(server_clock: Clock) -> Clock:
    """The time of the live server and of the test's own applications."""
    server_clock.now = MARCH_2015
    return server_clock


@pytest.fixture(scope="session")
def server(server_clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    file = tmp_path_factory.mktemp("server") / "guidkeep.db"
    with served(server_clock, store=f"sqlite:///{file}", sweep_interval=3600.0) as running:
        yield running


@pytest.fixture(params=["memory://", "live"])
async def api(
    request: pytest.FixtureRequest, server: Running, clock: Clock, tmp_path: Path
) -> AsyncIterator[Api]:
    """A client of the application over the cache that `params` name, and of the live server."""
    if request.param == "live":
        async with Api(server.address) as client:
            yield client
        return
    async with opened_store(tmp_path / "guidkeep.db") as store:
        registry = make_registry(store, open_cache(request.param, max_age=60), clock)
        async with Api(app_of(registry)) as client:
            yield client
        await registry.close()


@pytest.fixture
async def live(server: Running, clock: Clock) -> AsyncIterator[Api]:
    """A client of the live server alone, for what only a server has."""
    async with Api(server.address) as client:
        yield client


@pytest.fixture
def guid() -> str:
    """A GUID that no other test uses."""
    return new_guid()
