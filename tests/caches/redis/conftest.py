"""Redis servers that a test may stop, kill, fill and flush, and caches in them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from guidkeep.caches import Lease
from guidkeep.caches.redis.cache import RedisCache
from guidkeep.caches.redis.url import RedisAddress
from guidkeep.metrics import Metrics
from guidkeep.record import Record
from servers import redis
from tests.engines import here
from tests.support import GUID, MARCH_2015, Clock, iterations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from guidkeep.caches.redis.server import Server
    from servers.redis import Redis
    from tests.engines import Engines

NOW = MARCH_2015
OTHER = "0" * 32
RECORD = Record(GUID, NOW + 1000, 7, '{"user":"Ann"}')
NEWER = Record(GUID, NOW + 1000, 8, '{"user":"Bob"}')
SOON = 0.2
"""Seconds of a deadline that the server will not meet."""
NEVER = 3600.0
"""Seconds to a probe that the test makes itself."""


class Opener(Protocol):
    def __call__(self, url: str, **options: Any) -> RedisCache: ...


@pytest.fixture
async def open_at() -> AsyncIterator[Opener]:
    """Opens caches, and closes them after the test."""
    opened = []

    def open_at(url: str, **options: Any) -> RedisCache:
        chosen = {
            "max_age": 60.0,
            "timeout": 5.0,
            "patience": options.get("timeout", 5.0),
            "lease_time": 15.0,
            "metrics": Metrics(),
            "clock": Clock(0),
            "pauses": lambda _: NEVER,
            **options,
        }
        cache = RedisCache(RedisAddress.parse(url), **chosen)
        opened.append(cache)
        return cache

    yield open_at
    for cache in opened:
        await cache.close()


@pytest.fixture
def shared(engines: Engines) -> Redis:
    """The session's server, for tests that do it no harm."""
    server = engines.get("redis")
    assert isinstance(server, redis.Redis)
    return server


@pytest.fixture
def own(engines: Engines, tmp_path: Path) -> Iterator[Redis]:
    """A server of this test's own."""
    engines.get("redis")  # skips the test where Redis is missing
    with here(redis.started(tmp_path)) as server:
        yield server


async def gone_out() -> None:
    """Returns when the commands are sent: after an event-loop iteration in which more may join."""
    await iterations(2)


async def reader(cache: RedisCache, guid: str = GUID) -> Lease:
    lease = await cache.get(guid, NOW)
    assert isinstance(lease, Lease)
    return lease


async def keep(cache: RedisCache, record: Record = RECORD) -> None:
    await cache.settle(await cache.lease(record.guid), record, NOW)


async def held(cache: RedisCache, guid: str = GUID) -> Record | None:
    """Returns the entry; gives a reader's lease back."""
    found = await cache.get(guid, NOW)
    if isinstance(found, Lease):
        await cache.fill(found, None, NOW)
    return found if isinstance(found, Record) else None


def server_of(cache: RedisCache) -> Server:
    """Returns the only server of a cache without a cluster."""
    server: Server = cache._servers._server  # type: ignore[attr-defined]  # Single's
    return server


async def until_a_reader_may_fill(cache: RedisCache) -> None:
    async with asyncio.timeout(20):
        while not isinstance(await cache.get(GUID, NOW), Lease):  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.005)


async def lose(cache: RedisCache) -> None:
    """Makes calls until the breaker is open."""
    async with asyncio.timeout(20):
        while not server_of(cache).breaker.is_open:
            assert await cache.get(OTHER, NOW) is None


async def find(cache: RedisCache) -> None:
    """Probes until the breaker is closed: a probe has a deadline, and may miss it."""
    async with asyncio.timeout(20):
        while server_of(cache).breaker.is_open:
            server_of(cache).probe()
            await asyncio.sleep(0.005)
