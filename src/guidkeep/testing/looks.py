"""Calls `Cache.peek` and waits for its result."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from guidkeep.testing.records import GUID, NOW

if TYPE_CHECKING:
    from guidkeep.caches import Cache


async def look(cache: Cache, now: float = NOW, guid: str = GUID) -> bytes | None:
    """Returns the response; None: unknown, or there is no server to ask."""
    result: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    if not cache.peek(guid, now, result.set_result):
        return None
    assert not result.done(), "the caller must go on first"
    return await result
