"""Checks at the start of a service whether its cache can be used.

This is not in `guidkeep.caches`, which every command imports, because few commands need a log.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from guidkeep.caches import CacheRefuses
from guidkeep.urls import redacted

if TYPE_CHECKING:
    from guidkeep.caches import Cache

log = structlog.get_logger(__name__)

LOOK_SECONDS = 3.0
"""Seconds that a start waits for the cache's first response."""


async def look_at(cache: Cache, url: str) -> None:
    """Logs it if the cache can't be used now. The service starts without the cache.

    Args:
        cache: the cache.
        url: the cache's URL.
    """
    shown = redacted(url)
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await cache.ping()
    except CacheRefuses as error:
        log.error("cache refuses the URL", cache=shown, error=str(error))  # noqa: TRY400 - the traceback says nothing
    except OSError as error:  # TimeoutError too
        reason = str(error) or f"no response within {LOOK_SECONDS:g} s"
        log.warning("cache can't be used yet", cache=shown, error=reason)
