"""The contract that ships in the package, on every cache that does.

A cache takes part by its row in `guidkeep.caches`, and by the row of its server in `servers`.
"""

from __future__ import annotations

import functools
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guidkeep.caches import CacheOptions, open_cache
from guidkeep.caches.memory import MemoryCache
from guidkeep.testing.caches import *  # noqa: F403 - its tests are run here
from tests.engines import CACHES, LOCAL, local_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from guidkeep.caches import Cache
    from guidkeep.testing.caches import Flush

KEEPS = [name for name in CACHES if name != "none"]
"""The caches that keep entries."""
REMOTE = [name for name in KEEPS if name not in LOCAL]


@pytest.fixture(params=KEEPS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Cache, Flush]]:
    async with opened(request) as place:
        yield place


@pytest.fixture(params=CACHES)  # type: ignore[no-redef] # of all, even of none
async def any_cache(
    request: pytest.FixtureRequest,
) -> AsyncIterator[Cache]:
    async with opened(request) as (cache, _):
        yield cache


@pytest.fixture(params=REMOTE)  # type: ignore[no-redef] # of no other
async def remote(
    request: pytest.FixtureRequest,
) -> AsyncIterator[Cache]:
    async with opened(request) as (cache, _):
        await cache.ping()
        yield cache


@asynccontextmanager
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Cache, Flush]]:
    """An empty cache for one test, and the function that flushes it."""
    if request.param in LOCAL:
        cache = open_cache(local_url(request.param, Path()), CacheOptions(max_age=60))
        flush = cache.flush if isinstance(cache, MemoryCache) else lambda: None
    else:
        engine = request.getfixturevalue("engines").get(request.param)
        url = engine.fresh()
        cache = open_cache(url, CacheOptions(max_age=60, timeout=5))
        flush = functools.partial(engine.flush, url)
    yield cache, flush
    await cache.close()
    assert cache.counts.unsettled == 0
