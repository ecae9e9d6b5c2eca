"""The server's check of its connections once a second, on sockets with buffers set by the test."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.http import memory as memory_module
from guidkeep.http.connection import protocol
from guidkeep.http.connection.protocol import LOOKS_AT_ONCE, watch
from guidkeep.http.memory import FALL, Memory
from tests.server.ends import Ends, both_ends
from tests.support import PATIENCE, iterations, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    async with both_ends() as ends:
        yield ends


async def test_a_connection_that_closes_waits_for_its_reader_no_longer_than_the_write_timeout(
    ends: Ends,
) -> None:
    """Even if little of the response is left."""
    ends.server.transport.write(b"x" * 60_000)
    assert ends.is_stalled()
    ends.server.transport.close()
    now = perf_counter()
    for seconds in (0, 19):
        ends.server.look(now + seconds)
        await iterations()
        assert ends.is_open()
    ends.server.look(now + 21)
    await iterations()
    assert not ends.is_open()


async def test_a_connection_that_catches_up_is_left_alone(ends: Ends) -> None:
    ends.client.setblocking(False)
    ends.server.transport.write(b"x" * 200_000)
    assert ends.is_stalled()
    loop = asyncio.get_running_loop()
    left = 200_000
    while left:
        left -= len(await loop.sock_recv(ends.client, 65_536))
    await iterations()
    assert not ends.is_stalled()
    ends.server.look(ends.server.since + 21)
    await iterations()
    assert ends.is_open()


async def test_a_connection_that_waits_for_nothing_is_closed_without_a_word(ends: Ends) -> None:
    ends.server.give_up()
    await iterations()
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
    await iterations()
    connections.add(Good())
    done, _ = await asyncio.wait(
        [watching, asyncio.create_task(looked.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    assert watching not in done
    watching.cancel()


class Looked:
    """A connection that counts the checks."""

    count = 0

    def look(self, now: float) -> None:
        Looked.count += 1


async def test_others_have_their_turn_while_many_connections_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "WATCH_INTERVAL", 0)
    monkeypatch.setattr(Looked, "count", 0)
    many = 3 * LOOKS_AT_ONCE + 1
    seen, connections = [0], {Looked() for _ in range(many)}
    watching = asyncio.create_task(watch(connections, Memory(1)))
    async with asyncio.timeout(PATIENCE):
        while seen[-1] < many:
            await iterations(1)
            seen.append(Looked.count)
    watching.cancel()
    assert max(after - before for before, after in pairwise(seen)) <= LOOKS_AT_ONCE


async def test_memory_that_was_held_is_given_back_to_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "WATCH_INTERVAL", 0)
    given = 0

    def give_back() -> None:
        nonlocal given
        given += 1
        memory_module.give_back()

    monkeypatch.setattr(protocol, "give_back", give_back)
    memory = Memory(2 * FALL)
    watching = asyncio.create_task(watch(set(), memory))
    assert memory.take(2 * FALL)
    await iterations()
    assert given == 0
    memory.give(2 * FALL)
    await until(lambda: given)
    await iterations()
    watching.cancel()
    assert given == 1
