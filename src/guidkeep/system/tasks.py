"""Work that begins and ends as a whole, on the event loop or on a thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

Result = TypeVar("Result")


async def all_done(works: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Does all of it at once; raises the first error, when none of the rest goes on any more."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def on_thread(work: Callable[..., Result], *arguments: Any) -> Result:
    """Does the work on a thread; whoever is cancelled meanwhile goes on when the thread is done.

    Nothing stops a thread. So what it works on, such as a file, must not be closed before.
    """
    doing = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.gather(doing, return_exceptions=True)
        raise
