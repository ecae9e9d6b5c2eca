"""`guidkeep.system.tasks`: work that ends as a whole."""

from __future__ import annotations

import asyncio
import threading

import pytest

from guidkeep.system.tasks import on_thread
from tests.support import iterations


async def test_work_on_a_thread_returns_or_raises_what_it_does() -> None:
    assert await on_thread(int, "7") == 7
    with pytest.raises(ValueError, match="seven"):
        await on_thread(int, "seven")


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancellation_waits_for_the_thread(*, fails: bool) -> None:
    goes_on, done = threading.Event(), list[bool]()

    def work() -> None:
        done.append(goes_on.wait())
        if fails:
            raise OSError

    waiting = asyncio.create_task(on_thread(work))
    await iterations(3)
    waiting.cancel()
    await iterations(3)
    assert not waiting.done()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done == [True]
