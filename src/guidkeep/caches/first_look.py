"""Whether the cache of a service can be used when it starts.

Not beside the interface: every command imports that, and few need a log.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from guidkeep.caches import CacheRefuses
from guidkeep.urls import redacted

if TYPE_CHECKING:
    from guidkeep.caches import Cache

log = structlog.get_logger("guidkeep.cache")

LOOK_SECONDS = 3.0
"""How long a start waits for the cache's first answer."""


async def look_at(cache: Cache, url: str) -> None:
    """Says it in the log if the cache can't be used now; a service starts without it all the same.

    Args:
        cache: it.
        url: its own.
    """
    shown = redacted(url)
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await cache.ping()
    except CacheRefuses as error:
        log.error("cache refuses the URL", cache=shown, error=str(error))  # noqa: TRY400 - it is no fault here
    except OSError as error:  # TimeoutError too
        reason = str(error) or f"no answer within {LOOK_SECONDS:g} s"
        log.warning("cache can't be used yet", cache=shown, error=reason)
