"""Runs tasks together, or work on a thread, and waits for all of it even after an error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

Result = TypeVar("Result")


async def all_done(works: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Runs all works concurrently; raises the first error after all others have ended."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def on_thread(work: Callable[..., Result], *arguments: Any) -> Result:
    """Runs the work on a thread. If the caller is cancelled, it still waits for the thread.

    A thread can't be stopped, so a file that it works on must not be closed before it has ended.
    """
    doing = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.gather(doing, return_exceptions=True)
        raise
