"""Long work on one request, done beside the event loop, so that other requests go on meanwhile.

To read, merge and check 64 KiB of JSON can take tens of milliseconds. A thread of its own that does
so is interrupted twice a millisecond (`server.SWITCH_INTERVAL`). Short work is done at once: to
hand it over would cost more than it does.

There is one such thread. Several would each have their turn before the event loop has its own.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

LARGE = 4096
"""Bytes of JSON from which work on them is long: a millisecond at worst."""


class Aside:
    """The thread, which begins with the first work that it gets."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="guidkeep-aside")

    async def do(self, size: int, work: Callable[[], Result]) -> Result:
        """Does the work and returns or raises what it does.

        Args:
            size: bytes of JSON that it works on.
            work: pure; when the caller is cancelled it may go on all the same.
        """
        if size < LARGE:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Takes no more work, and begins none that waits: the process would not end before it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
