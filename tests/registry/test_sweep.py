"""The sweep deletes records that expired long enough ago, in small steps, and no others."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import StoreUnavailable
from guidkeep.record import Record
from guidkeep.registry.clock import ClockWatch
from guidkeep.registry.sweep import Sweep
from tests.registry.memory_store import MemoryStore
from tests.support import MARCH_2015, Clock, make_registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from guidkeep.registry.registry import Registry
    from guidkeep.stores import Store

NOW = MARCH_2015
MARGIN = 3600
DAY = 86_400
YEAR = 365 * DAY


async def put(store: Store, at: int, expire: int) -> Record:
    record = Record(f"{at:032X}", expire, 1, '{"user":"Ann"}')
    assert await store.insert(record)
    return record


def steadied(store: Store, clock: Clock, steady: Clock) -> Sweep:
    """A sweep whose clock has been steady for its margin."""
    watch = ClockWatch(margin=MARGIN, wall=clock, steady=steady)
    for _ in range(MARGIN // 10):
        pass_time(10, clock, steady)
        watch.believed()
    return Sweep(make_registry(store, clock=clock), watch, margin=MARGIN, interval=1, batch=10)


def pass_time(seconds: float, *clocks: Clock) -> None:
    for clock in clocks:
        clock.advance(seconds)


async def test_only_what_expired_longer_ago_than_the_margin_is_reclaimed(store: Store) -> None:
    clock, steady = Clock(), Clock(0)
    sweep = steadied(store, clock, steady)
    records = [await put(store, at, int(clock.now) - MARGIN + at - 2) for at in range(5)]
    await sweep.reclaim()
    left = [await store.get(record.guid) for record in records]
    assert left == [None, None, None, *records[3:]]


async def test_a_step_reclaims_no_more_than_it_is_told_and_the_oldest_first(
    store: Store, registry: Registry
) -> None:
    records = [await put(store, at, NOW - 1000 + at) for at in range(5)]
    assert await registry.sweep(2, NOW) == 2
    assert [await store.get(record.guid) for record in records[:3]] == [None, None, records[2]]
    assert [await registry.sweep(2, NOW) for _ in range(3)] == [2, 1, 0]


@pytest.mark.parametrize("jump", [YEAR, DAY, 31.0])
async def test_a_clock_that_jumps_and_comes_back_costs_no_record(store: Store, jump: float) -> None:
    clock, steady = Clock(), Clock(0)
    sweep = steadied(store, clock, steady)
    record = await put(store, 1, int(clock.now) + 100)
    clock.advance(jump)
    for _ in range(7):
        pass_time(1, clock, steady)
        await sweep.reclaim()
    clock.advance(-jump)
    await sweep.reclaim()
    assert await store.get(record.guid) == record


async def test_a_jump_in_the_middle_of_a_sweep_ends_it(store: Store) -> None:
    clock, steady = Clock(), Clock(0)
    for at in range(25):
        await put(store, at, NOW - 10 * MARGIN)
    live = [await put(store, at, int(clock.now) + DAY) for at in range(100, 120)]
    sweep = steadied(store, clock, steady)
    swept = sweep._registry.sweep

    async def jump_after_it(limit: int, now: int) -> int:
        done = await swept(limit, now)
        clock.advance(YEAR)
        return done

    with patch.object(sweep._registry, "sweep", jump_after_it):
        await sweep.reclaim()
    assert len([at for at in range(25) if await store.get(f"{at:032X}")]) == 15
    assert [await store.get(record.guid) for record in live] == live


async def test_a_server_that_starts_with_a_wrong_clock_reclaims_nothing_for_the_margin(
    store: Store,
) -> None:
    clock, steady = Clock(NOW + YEAR), Clock(0)
    record = await put(store, 1, NOW + DAY)
    watch = ClockWatch(margin=MARGIN, wall=clock, steady=steady)
    sweep = Sweep(make_registry(store, clock=clock), watch, margin=MARGIN, interval=1, batch=10)
    for _ in range(MARGIN // 20 - 1):
        pass_time(20, clock, steady)
        await sweep.reclaim()
    assert await store.get(record.guid) == record
    clock.advance(-YEAR)
    for _ in range(MARGIN // 20 + 10):
        pass_time(20, clock, steady)
        await sweep.reclaim()
    assert await store.get(record.guid) == record


class FarStore(MemoryStore):
    """A store on a machine whose clock differs."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.its = clock

    async def clock(self) -> float | None:
        return self.its.now


@pytest.mark.parametrize("apart", [YEAR, -YEAR, MARGIN / 2 + 1])
async def test_nothing_is_reclaimed_while_the_stores_clock_is_another(apart: float) -> None:
    clock, steady, its = Clock(), Clock(0), Clock()
    store = FarStore(its)
    sweep = steadied(store, clock, steady)
    record = await put(store, 1, NOW - DAY)
    its.now = clock.now + apart
    with capture_logs() as logged:
        for _ in range(3):
            await sweep.reclaim()
        assert await store.get(record.guid) == record
        its.now = clock.now + MARGIN / 2 - 1
        await sweep.reclaim()
    assert await store.get(record.guid) is None
    assert [line["log_level"] for line in logged] == ["error", "warning"]


class CountedStore(MemoryStore):
    """A store that records the limits of purges; the purges listed in `failing` fail."""

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
    """The server's sweep over that store, without waits between sweeps."""
    sweep = steadied(store, Clock(), Clock(0))
    quick = Sweep(sweep._registry, sweep._watch, margin=MARGIN, interval=0.001, batch=10)
    task = asyncio.create_task(quick.run())
    yield
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_servers_sweep_goes_on_until_there_is_nothing_left() -> None:
    store = CountedStore()
    for at in range(95):
        await put(store, at, NOW - 2 * MARGIN)
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
        await put(store, at, NOW - 2 * MARGIN)
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
