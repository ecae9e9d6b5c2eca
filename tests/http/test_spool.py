"""The spool for a client that does not read yet."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from guidkeep.http import spool
from guidkeep.http.spool import Spool, SpoolSpace
from tests.support import iterations

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE = 1000
"""Bytes in memory, in these tests."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", SIZE)
    monkeypatch.setattr(spool, "PIECE", 700)
    monkeypatch.setattr(spool, "TICK", 0.01)


class Told:
    """The reports on free space, in order."""

    def __init__(self) -> None:
        self.all: list[bool] = []
        self.full = asyncio.Event()

    def __call__(self, has_room: bool) -> None:
        self.all.append(has_room)
        if not has_room:
            self.full.set()


def pieces(count: int) -> Sequence[bytes]:
    return [b"%05d;" % number * 50 for number in range(count)]


async def rest(queue: Spool) -> bytes:
    async with aclosing(queue.take()) as taken:
        return b"".join([piece async for piece in taken])


async def test_what_is_put_in_comes_out_in_order_and_leaves_nothing_on_the_disk() -> None:
    room, told = SpoolSpace(1_000_000), Told()
    queue = Spool(room, told)
    for piece in pieces(100):
        await queue.put(piece)
    assert room.left < 1_000_000 - 90 * 300 + SIZE
    queue.end()
    assert await rest(queue) == b"".join(pieces(100))
    assert room.left == 1_000_000
    assert set(told.all) == {True}
    assert queue._file
    assert queue._file.closed


async def test_who_leaves_while_the_disk_is_written_takes_no_room_along() -> None:
    room, goes_on = SpoolSpace(1_000_000), threading.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    queue = Spool(room, Told())
    async with aclosing(queue.take()) as taken:
        await queue.put(b"x" * SIZE)
        assert await anext(taken)
        await queue.put(b"x" * SIZE)
        await queue.put(b"x" * SIZE)  # on the disk
        before = asyncio.create_task(asyncio.to_thread(goes_on.wait))
        putting = asyncio.create_task(queue.put(b"x" * SIZE))
        await iterations(3)
        assert room.left == 1_000_000 - 2 * SIZE
        putting.cancel()
        await iterations(3)
        assert not putting.done(), "the thread may be writing"
        goes_on.set()
        with pytest.raises(asyncio.CancelledError):
            await putting
        assert await before
        assert room.left == 1_000_000 - SIZE
    assert room.left == 1_000_000


@pytest.mark.parametrize("umask", [0o000, 0o022])
async def test_nobody_else_can_read_what_is_on_the_disk(umask: int) -> None:
    queue = Spool(SpoolSpace(1_000_000), Told())
    former = os.umask(umask)
    try:
        for piece in pieces(100):
            await queue.put(piece)
    finally:
        os.umask(former)
    assert queue._file
    found = os.fstat(queue._file.fileno())
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_nlink == 0, "it has no name"
    queue.end()
    await rest(queue)


async def test_little_is_never_put_on_the_disk() -> None:
    queue = Spool(SpoolSpace(0), Told())
    await queue.put(b"x" * SIZE)
    queue.end()
    assert await rest(queue) == b"x" * SIZE
    assert queue._file is None


async def test_one_who_takes_waits_for_what_is_to_come() -> None:
    queue = Spool(SpoolSpace(0), Told())
    taking = asyncio.create_task(rest(queue))
    await iterations()
    await queue.put(b"a")
    await iterations()
    await queue.put(b"b")
    queue.end()
    assert await taking == b"ab"


async def test_the_disk_is_used_again_and_again() -> None:
    room = SpoolSpace(100_000)
    queue = Spool(room, Told())
    expected = b""
    async with aclosing(queue.take()) as taken:
        for _ in range(5):
            for piece in pieces(20):
                await queue.put(piece)
            expected = b"".join(pieces(20))
            found = b""
            while len(found) < len(expected):
                found += await anext(taken)
            assert found == expected
            assert room.left == 100_000


async def test_without_room_one_who_puts_waits_for_one_who_takes() -> None:
    told = Told()
    queue = Spool(SpoolSpace(2000), told)
    expected = b"".join(pieces(30))

    async def put_all() -> None:
        for piece in pieces(30):
            await queue.put(piece)
        queue.end()

    putting = asyncio.create_task(put_all())
    await told.full.wait()
    assert not putting.done()
    assert await rest(queue) == expected
    await putting
    assert told.all[-1]


async def test_room_that_another_gave_back_is_used() -> None:
    room, told = SpoolSpace(0), Told()
    queue = Spool(room, told)
    await queue.put(b"x" * SIZE)
    putting = asyncio.create_task(queue.put(b"y"))
    await told.full.wait()
    room.left = 10
    await putting
    queue.end()
    assert await rest(queue) == b"x" * SIZE + b"y"
    assert room.left == 10


async def test_a_disk_that_is_full_is_like_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    room, told = SpoolSpace(1_000_000), Told()
    queue = Spool(room, told)
    monkeypatch.setattr(os, "pwrite", full)
    await queue.put(b"x" * SIZE)
    with capture_logs() as logs:
        putting = asyncio.create_task(queue.put(b"y"))
        await told.full.wait()
        taking = asyncio.create_task(rest(queue))
        await putting
    queue.end()
    assert await taking == b"x" * SIZE + b"y"
    assert room.left == 1_000_000
    assert {entry["event"] for entry in logs} == {"responses can't be held on the disk"}


async def test_a_disk_that_takes_less_at_once_gets_the_rest_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: plain(file, data[:7], at))
    queue = Spool(SpoolSpace(1_000_000), Told())
    for piece in pieces(10):
        await queue.put(piece)
    queue.end()
    assert await rest(queue) == b"".join(pieces(10))


async def test_one_who_takes_no_more_gives_its_room_back() -> None:
    room = SpoolSpace(5000)
    queue = Spool(room, Told())
    for piece in pieces(10):
        await queue.put(piece)
    async with aclosing(queue.take()) as taken:
        await anext(taken)
        await anext(taken)
    assert room.left == 5000
    queue._written = 1  # as if a write were in progress
    assert await queue._spill(b"more") is False
