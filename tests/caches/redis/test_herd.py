"""Readers of one cold GUID on several nodes: only the reader that will fill asks the store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import pytest

from guidkeep.caches import Lease
from tests.caches.redis.conftest import NOW, RECORD, reader
from tests.support import GUID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guidkeep.caches.redis.cache import RedisCache
    from guidkeep.record import Record
    from servers.redis import Redis
    from tests.caches.redis.conftest import Opener


class Waits:
    """A number of waits of no length; `begun` is set when the first look found nothing."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.begun = asyncio.Event()

    def __iter__(self) -> Iterator[float]:
        yield 0.0
        self.begun.set()
        for _ in range(self.times - 1):
            yield 0.001


class Two(NamedTuple):
    """A cache whose reader may fill, and another whose reader waits for that."""

    first: RedisCache
    lease: Lease
    second: RedisCache
    reading: asyncio.Task[Record | Lease | None]


@pytest.fixture
async def two(shared: Redis, open_at: Opener) -> Two:
    waits = Waits(10_000)
    url = shared.fresh()
    first, second = open_at(url), open_at(url, waits=waits)
    lease = await reader(first)
    reading = asyncio.create_task(second.get(GUID, NOW))
    await waits.begun.wait()
    return Two(first, lease, second, reading)


async def test_the_second_reader_gets_the_entry_that_the_first_fills(two: Two) -> None:
    await two.first.fill(two.lease, RECORD, NOW)
    assert await two.reading == RECORD
    assert (two.second.counts.hits, two.second.counts.misses) == (1, 0)


async def test_if_the_first_finds_nothing_to_fill_the_second_may(two: Two) -> None:
    await two.first.fill(two.lease, None, NOW)
    own = await two.reading
    assert isinstance(own, Lease)
    await two.second.fill(own, RECORD, NOW)
    assert await two.first.get(GUID, NOW) == RECORD


async def test_a_reader_that_waits_in_vain_goes_on_without_the_cache(
    shared: Redis, open_at: Opener
) -> None:
    """The first may have died with its lease."""
    url = shared.fresh()
    one, two = open_at(url), open_at(url, waits=(0.0, 0.0))
    await reader(one)
    assert await two.get(GUID, NOW) is None
    assert two.counts.misses == 1


async def test_no_reader_waits_for_a_writer(shared: Redis, open_at: Opener) -> None:
    waits = Waits(10_000)
    url = shared.fresh()
    one, two = open_at(url), open_at(url, waits=waits)
    await one.lease(GUID)
    assert await two.get(GUID, NOW) is None
    assert not waits.begun.is_set()
