"""Long work on a thread beside the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from guidkeep.registry.aside import LARGE, Aside


@pytest.mark.parametrize(("size", "is_here"), [(0, True), (LARGE - 1, True), (LARGE, False)])
async def test_long_work_alone_is_done_on_another_thread(size: int, *, is_here: bool) -> None:
    aside = Aside()
    thread = await aside.do(size, threading.current_thread)
    assert (thread is threading.current_thread()) is is_here
    aside.close()


async def test_what_waits_is_not_done_any_more_once_it_is_closed() -> None:
    """Otherwise the process could not end before that work."""
    aside, goes_on, done = Aside(), threading.Event(), list[int]()
    begun = asyncio.create_task(aside.do(LARGE, goes_on.wait))
    waiting = asyncio.create_task(aside.do(LARGE, lambda: done.append(1)))
    await asyncio.sleep(0)
    aside.close()
    goes_on.set()
    assert await begun
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not done
