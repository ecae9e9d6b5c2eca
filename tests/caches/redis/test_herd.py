"""Readers of one cold GUID on several nodes: the store is asked by the one who will fill."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from guidkeep.caches import Lease
from tests.caches.test_contract import NOW, RECORD
from tests.support import GUID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers.redis import Redis
    from tests.caches.redis.conftest import Opener


class Waits:
    """So many waits of no length; `begun` when the first look was in vain."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.begun = asyncio.Event()

    def __iter__(self) -> Iterator[float]:
        yield 0.0
        self.begun.set()
        for _ in range(self.times - 1):
            yield 0.001


async def test_who_comes_second_gets_what_the_first_fills(shared: Redis, open_at: Opener) -> None:
    waits = Waits(10_000)
    url = shared.fresh()
    one, two = open_at(url), open_at(url, waits=waits)
    lease = await one.get(GUID, NOW)
    assert isinstance(lease, Lease)
    reading = asyncio.create_task(two.get(GUID, NOW))
    await waits.begun.wait()
    await one.fill(lease, RECORD, NOW)
    assert await reading == RECORD
    assert (two.figures.hits, two.figures.misses) == (1, 0)


async def test_if_the_first_finds_nothing_to_fill_the_second_may(
    shared: Redis, open_at: Opener
) -> None:
    waits = Waits(10_000)
    url = shared.fresh()
    one, two = open_at(url), open_at(url, waits=waits)
    lease = await one.get(GUID, NOW)
    assert isinstance(lease, Lease)
    reading = asyncio.create_task(two.get(GUID, NOW))
    await waits.begun.wait()
    await one.fill(lease, None, NOW)
    own = await reading
    assert isinstance(own, Lease)
    await two.fill(own, RECORD, NOW)
    assert await one.get(GUID, NOW) == RECORD


async def test_who_waits_in_vain_goes_without(shared: Redis, open_at: Opener) -> None:
    """The first may have died with its lease."""
    url = shared.fresh()
    one, two = open_at(url), open_at(url, waits=(0.0, 0.0))
    assert isinstance(await one.get(GUID, NOW), Lease)
    assert await two.get(GUID, NOW) is None
    assert two.figures.misses == 1


async def test_nobody_waits_for_a_writer(shared: Redis, open_at: Opener) -> None:
    waits = Waits(10_000)
    url = shared.fresh()
    one, two = open_at(url), open_at(url, waits=waits)
    await one.lease(GUID)
    assert await two.get(GUID, NOW) is None
    assert not waits.begun.is_set()
