"""Calls `Cache.peek` and waits for its result."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from guidkeep.testing.records import GUID, NOW

if TYPE_CHECKING:
    from guidkeep.caches import Cache


async def look(cache: Cache, now: float = NOW, guid: str = GUID) -> bytes | None:
    """Returns the response; None: unknown, or there is no server to ask."""
    told: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    if not cache.peek(guid, now, told.set_result):
        return None
    assert not told.done(), "whoever asks must have gone on first"
    return await told
