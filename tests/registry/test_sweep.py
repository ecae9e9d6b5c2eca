"""The sweep: it takes what expired over a minute ago, a little at a time, and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from guidkeep import server
from guidkeep.errors import StoreUnavailable
from guidkeep.record import Record
from guidkeep.registry import SWEEP_MARGIN
from guidkeep.settings import Settings
from tests.registry.memory_store import MemoryStore
from tests.support import MARCH_2015, Clock, make_registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from guidkeep.registry import Registry
    from guidkeep.stores import Store

NOW = MARCH_2015


async def put(store: Store, at: int, expire: int) -> Record:
    record = Record(f"{at:032X}", expire, 1, '{"user":"Ann"}')
    assert await store.insert(record)
    return record


async def test_only_what_expired_over_a_minute_ago_is_reclaimed(
    store: Store, registry: Registry
) -> None:
    records = [await put(store, at, NOW - SWEEP_MARGIN + at - 2) for at in range(5)]
    assert await registry.sweep(100) == 3
    left = [await store.get(record.guid) for record in records]
    assert left == [None, None, None, *records[3:]]


async def test_a_step_reclaims_no_more_than_it_is_told_and_the_oldest_first(
    store: Store, registry: Registry
) -> None:
    records = [await put(store, at, NOW - 1000 + at) for at in range(5)]
    assert await registry.sweep(2) == 2
    assert [await store.get(record.guid) for record in records[:3]] == [None, None, records[2]]
    assert [await registry.sweep(2) for _ in range(3)] == [2, 1, 0]


async def test_when_the_clock_jumps_back_nothing_that_is_live_again_is_reclaimed(
    store: Store, registry: Registry, clock: Clock
) -> None:
    record = await put(store, 1, NOW + 10)
    clock.advance(10 + SWEEP_MARGIN - 1)
    assert await registry.sweep(10) == 0
    clock.advance(-SWEEP_MARGIN)
    assert await registry.sweep(10) == 0
    assert await registry.read(record.guid) == record


class CountedStore(MemoryStore):
    """Notes the limits of its purges; the purges listed in `failing` fail."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[int] = []
        self.failing: set[int] = set()
        self.fault: Exception = StoreUnavailable("down")
        self.purged = asyncio.Condition()

    async def purge(self, now: int, limit: int) -> int:
        self.limits.append(limit)
        async with self.purged:
            self.purged.notify_all()
        if len(self.limits) in self.failing:
            raise self.fault
        return await super().purge(now, limit)

    async def came_to(self, purges: int) -> None:
        async with self.purged, asyncio.timeout(10):
            await self.purged.wait_for(lambda: len(self.limits) >= purges)


@asynccontextmanager
async def swept(store: Store) -> AsyncIterator[None]:
    """The server's sweep over that store, without waiting between its rounds."""
    registry = make_registry(store)
    settings = Settings(sweep_interval=0.001, sweep_batch=10)
    task = asyncio.create_task(server.sweep(registry, settings))
    yield
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_servers_sweep_goes_on_until_there_is_nothing_left() -> None:
    store = CountedStore()
    for at in range(95):
        await put(store, at, NOW - 1000)
    live = await put(store, 1000, NOW + 1000)
    async with swept(store):
        await store.came_to(11)
    assert set(store.limits) == {10}
    assert list(store.records.values()) == [live]


@pytest.mark.parametrize("fault", [StoreUnavailable("down"), ZeroDivisionError()], ids=repr)
async def test_the_servers_sweep_survives_whatever_befalls_the_store(fault: Exception) -> None:
    store = CountedStore()
    store.failing, store.fault = {1, 3}, fault
    for at in range(30):
        await put(store, at, NOW - 1000)
    async with swept(store):
        await store.came_to(7)
    assert not store.records


async def test_the_servers_sweep_stops_in_the_middle_of_a_step() -> None:
    class StuckStore(CountedStore):
        async def purge(self, now: int, limit: int) -> int:
            self.limits.append(limit)
            async with self.purged:
                self.purged.notify_all()
            await asyncio.Event().wait()
            raise AssertionError

    store = StuckStore()
    async with swept(store):
        await store.came_to(1)
    assert store.limits == [10]
