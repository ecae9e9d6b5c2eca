"""What a server does once a second to its connections, on sockets whose buffers the test rules."""

from __future__ import annotations

import asyncio
import socket
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from guidkeep.http import protocol
from guidkeep.http.hosts import Hosts
from guidkeep.http.memory import Memory
from guidkeep.http.protocol import GuidkeepProtocol, watch
from guidkeep.http.sites import Sites
from guidkeep.http.wire import Wire
from guidkeep.metrics import Metrics
from guidkeep.settings import Settings
from tests.support import turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application that is never asked."""


class Ends:
    """Both ends of a connection that holds little: the server's, and the client's socket."""

    def __init__(self, server: GuidkeepProtocol, client: socket.socket) -> None:
        self.server = server
        self.client = client

    def is_open(self) -> bool:
        return self.server in self.server.connections

    def is_stalled(self) -> bool:
        return self.server.stalled_since is not None


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    config = uvicorn.Config(nothing, lifespan="off", log_config=None, ws="none")
    config.load()
    hosts = Hosts((), bound="127.0.0.1")
    wire = Wire(settings=Settings(), hit=None, metrics=Metrics(), hosts=hosts, sites=Sites())
    theirs, ours = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    loop = asyncio.get_running_loop()
    _, made = await loop.connect_accepted_socket(
        lambda: GuidkeepProtocol(config, ServerState(), {}, wire=wire), theirs
    )
    yield Ends(made, ours)
    ours.close()
    made.transport.abort()
    await asyncio.sleep(0)


async def test_a_connection_that_closes_waits_for_its_reader_no_longer_than_the_write_timeout(
    ends: Ends,
) -> None:
    """However little is left to say."""
    ends.server.transport.write(b"x" * 60_000)
    assert ends.is_stalled()
    ends.server.transport.close()
    now = perf_counter()
    for seconds in (0, 19):
        ends.server.look(now + seconds)
        await turns()
        assert ends.is_open()
    ends.server.look(now + 21)
    await turns()
    assert not ends.is_open()


async def test_a_connection_that_catches_up_is_left_alone(ends: Ends) -> None:
    ends.client.setblocking(False)
    ends.server.transport.write(b"x" * 200_000)
    assert ends.is_stalled()
    loop = asyncio.get_running_loop()
    left = 200_000
    while left:
        left -= len(await loop.sock_recv(ends.client, 65_536))
    await turns()
    assert not ends.is_stalled()
    ends.server.look(ends.server.since + 21)
    await turns()
    assert ends.is_open()


async def test_a_connection_that_waits_for_nothing_is_closed_without_a_word(ends: Ends) -> None:
    ends.server.give_up()
    await turns()
    assert not ends.is_open()
    assert ends.client.recv(100) == b""


class Broken:
    def look(self, now: float) -> None:
        raise ZeroDivisionError


async def test_what_goes_wrong_with_one_connection_does_not_end_the_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "WATCH_INTERVAL", 0)
    looked = asyncio.Event()

    class Good:
        def look(self, now: float) -> None:
            looked.set()

    connections: set[Any] = {Broken()}
    watching = asyncio.create_task(watch(connections, Memory(1)))
    await turns()
    connections.add(Good())
    done, _ = await asyncio.wait(
        [watching, asyncio.create_task(looked.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    assert watching not in done
    watching.cancel()
