"""Each test of the contract runs with both clients, against a live server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guidkeep import AsyncClient, Client
from guidkeep.record import new_guid
from tests.client.awaited import Awaited
from tests.support import MARCH_2015, Clock, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from guidkeep.server.server import Running


@pytest.fixture(scope="package")
def server_clock() -> Clock:
    return Clock()


@pytest.fixture
def clock(server_clock: Clock) -> Clock:
    """The server's time."""
    server_clock.now = MARCH_2015
    return server_clock


@pytest.fixture(scope="package")
def running(server_clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    store = tmp_path_factory.mktemp("client") / "guidkeep.db"
    with served(server_clock, store=f"sqlite:///{store}", sweep_interval=3600.0) as started:
        yield started


@pytest.fixture(params=[Client, AsyncClient])
def kind(request: pytest.FixtureRequest) -> type[Client | AsyncClient]:
    """The kind of client."""
    chosen: type[Client | AsyncClient] = request.param
    return chosen


@pytest.fixture
async def client(
    kind: type[Client | AsyncClient], running: Running, clock: Clock
) -> AsyncIterator[Awaited]:
    made = Awaited(kind(running.address))
    yield made
    await made.close()


@pytest.fixture
def guid() -> str:
    """A GUID that no other test uses."""
    return new_guid()
