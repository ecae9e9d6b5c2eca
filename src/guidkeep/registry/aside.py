"""Long work for one request, done on a thread, so that the event loop can serve other requests.

Parsing, merging and validating 64 KiB of JSON can take tens of milliseconds. The interpreter
interrupts a thread that does so twice a millisecond (`server.SWITCH_INTERVAL`). Short work runs on
the event loop: handing it over would cost more than the work itself.

There is one such thread. With several, each would run once before the event loop runs again.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

LARGE = 4096
"""Bytes of JSON from which work counts as long. Work on fewer takes a millisecond at worst."""


class Aside:
    """The thread. It starts with the first long work."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="guidkeep-aside")

    async def do(self, size: int, work: Callable[[], Result]) -> Result:
        """Runs `work`; returns its result, or raises its error.

        Args:
            size: bytes of JSON that the work reads.
            work: a pure function; it may run on after the caller is cancelled.
        """
        if size < LARGE:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Takes no more work and drops work that waits, which would delay the process's end."""
        self._thread.shutdown(wait=False, cancel_futures=True)
