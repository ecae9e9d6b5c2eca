"""Tasks that begin and end together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable


async def all_done(works: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Does all of it at once; raises the first error, when none of the rest goes on any more."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
