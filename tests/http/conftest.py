"""Each record operation is tested through the application itself and through a live server.

The live server serves cache hits before the application sees the request, so each promise
of one must be tested on the other too. There is one server for each store and cache, for all tests:
each test uses its own GUIDs.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from guidkeep.caches import CacheOptions, open_cache
from guidkeep.record import new_guid
from tests.engines import LOCAL, local_url
from tests.http.helpers import Api
from tests.support import (
    MARCH_2015,
    STORE_TIMEOUT,
    Clock,
    app_of,
    make_registry,
    opened_store,
    served,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from guidkeep.server.server import Running
    from tests.engines import Engines


@pytest.fixture(scope="session")
def server_clock() -> Clock:
    return Clock()


@pytest.fixture
def clock(server_clock: Clock) -> Clock:
    """The clock of the live server and of the test's applications."""
    server_clock.now = MARCH_2015
    return server_clock


class Live:
    """Live servers, one for each pair of store and cache, started when a test first needs them."""

    def __init__(self, clock: Clock, engines: Engines, folder: Path) -> None:
        self.stack = ExitStack()
        self._clock = clock
        self._engines = engines
        self._folder = folder
        self._running: dict[str, Running] = {}

    def over(self, pair: str) -> Running:
        """Returns the server over that pair, as in "mysql redis"."""
        if pair not in self._running:
            store, cache = (self._url(name) for name in pair.split())
            started = served(
                self._clock,
                store=store,
                cache=cache,
                sweep_interval=3600.0,
                store_timeout=STORE_TIMEOUT,
            )
            self._running[pair] = self.stack.enter_context(started)
        return self._running[pair]

    def _url(self, name: str) -> str:
        if name in LOCAL:
            return local_url(name, self._folder / f"{len(self._running)}.db")
        return self._engines.get(name).fresh()


@pytest.fixture(scope="session")
def servers(
    server_clock: Clock, engines: Engines, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    running = Live(server_clock, engines, tmp_path_factory.mktemp("server"))
    with running.stack:
        yield running


@pytest.fixture(scope="session")
def server(servers: Live) -> Running:
    """The server with the defaults."""
    return servers.over("sqlite memory")


@pytest.fixture(params=["memory://", "sqlite memory"])
async def api(
    request: pytest.FixtureRequest, servers: Live, clock: Clock, tmp_path: Path
) -> AsyncIterator[Api]:
    """A client of the application over the cache that `params` name, or of a live server."""
    if "://" not in request.param:
        async with Api(servers.over(request.param).address) as client:
            yield client
        return
    async with opened_store(tmp_path / "guidkeep.db") as store:
        registry = make_registry(store, open_cache(request.param, CacheOptions(max_age=60)), clock)
        async with Api(app_of(registry)) as client:
            yield client
        await registry.close()


@pytest.fixture
async def live(server: Running, clock: Clock) -> AsyncIterator[Api]:
    """A client of the live server, for properties of servers only."""
    async with Api(server.address) as client:
        yield client


@pytest.fixture
def guid() -> str:
    """A GUID that no other test uses."""
    return new_guid()
