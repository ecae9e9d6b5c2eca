"""The census: counts in steps, shared by all requests."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import StoreUnavailable
from guidkeep.record import LAST_EXPIRE, Record
from guidkeep.registry import census
from tests.registry.memory_store import MemoryStore
from tests.support import MARCH_2015, Clock, iterations, make_registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from guidkeep.registry.registry import Registry
    from guidkeep.stores import Counted

NOW = MARCH_2015
DAY = 86_400


class CountedStore(MemoryStore):
    """Notes its steps; they wait while the gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[int, int, int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fault: Exception | None = None

    async def count(self, first: int, before: int, limit: int) -> Counted:
        self.steps.append((first, before, limit))
        await self.gate.wait()
        if self.fault:
            raise self.fault
        return await super().count(first, before, limit)

    def put(self, *expires: int) -> None:
        for expire in expires:
            guid = f"{len(self.records):032X}"
            self.records[guid] = Record(guid, expire, 1, '{"user":"Ann"}')


@pytest.fixture
async def store() -> CountedStore:
    return CountedStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def registry(store: CountedStore, clock: Clock) -> AsyncIterator[Registry]:
    async with closed(make_registry(store, clock=clock)) as made:
        yield made


@asynccontextmanager
async def closed(registry: Registry) -> AsyncIterator[Registry]:
    yield registry
    await registry.close()


async def test_what_is_live_is_counted_by_days(registry: Registry, store: CountedStore) -> None:
    today = NOW // DAY * DAY
    store.put(NOW, NOW + 1, today + DAY - 1, today + DAY, today + 90 * DAY - 1, today + 90 * DAY)
    store.put(LAST_EXPIRE)
    found = await registry.forecast()
    assert found.as_of == NOW
    assert list(found.days) == [2, 1] + [0] * 87 + [1]
    assert (found.later, found.live) == (2, 6)


async def test_steps_follow_each_other_without_a_gap(
    registry: Registry, store: CountedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "STEP", 2)
    store.put(*[NOW + 5] * 5, *[NOW + 6] * 2, NOW + 7, NOW + 3 * DAY)
    found = await registry.forecast()
    assert found.live == 9
    assert found.days[0] == 8
    assert len(store.steps) > 92


async def test_at_the_end_of_days_there_is_nothing_later(
    registry: Registry, clock: Clock, store: CountedStore
) -> None:
    store.put(LAST_EXPIRE)
    clock.now = LAST_EXPIRE - 1
    found = await registry.forecast()
    assert (found.live, found.days[0], found.later) == (1, 1, 0)


async def test_a_crowd_waits_for_one_count(registry: Registry, store: CountedStore) -> None:
    store.put(NOW + 5)
    asked = await asyncio.gather(*(registry.forecast() for _ in range(50)))
    assert {found.live for found in asked} == {1}
    assert len(store.steps) == 91


async def test_it_is_told_again_for_a_minute(
    registry: Registry, store: CountedStore, clock: Clock
) -> None:
    first = await registry.forecast()
    clock.advance(59)
    store.put(NOW + 100)
    assert await registry.forecast() is first
    assert len(store.steps) == 91


async def test_after_that_it_is_told_once_more_and_counted_behind_it(
    registry: Registry, store: CountedStore, clock: Clock
) -> None:
    first = await registry.forecast()
    store.put(NOW + 100)
    clock.advance(60)
    store.gate.clear()
    assert await registry.forecast() is first
    assert await registry.forecast() is first
    await iterations()
    assert len(store.steps) == 92
    store.gate.set()
    while (found := await registry.forecast()) is first:
        await iterations()
    assert (found.live, found.as_of) == (1, NOW + 60)
    assert len(store.steps) == 182


@pytest.mark.parametrize("seconds", [300, DAY, -1])
async def test_what_is_too_old_is_not_told(
    registry: Registry, store: CountedStore, clock: Clock, seconds: int
) -> None:
    """The last count is not returned either after the clock was set back."""
    await registry.forecast()
    store.put(NOW + 2 * DAY)
    clock.advance(seconds)
    found = await registry.forecast()
    assert (found.live, found.as_of) == (1, NOW + seconds)


async def test_on_another_day_yesterdays_is_not_told(
    registry: Registry, store: CountedStore, clock: Clock
) -> None:
    clock.now = NOW // DAY * DAY + DAY - 1
    await registry.forecast()
    clock.advance(1)
    assert (await registry.forecast()).as_of == clock.now


async def test_a_count_that_fails_is_tried_again_by_the_next(
    registry: Registry, store: CountedStore, clock: Clock
) -> None:
    store.fault = StoreUnavailable("Closed.")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await registry.forecast()
    assert len(store.steps) == 2
    store.fault = None
    first = await registry.forecast()
    store.fault = StoreUnavailable("Closed.")
    clock.advance(100)
    with capture_logs() as logs:
        assert await registry.forecast() is first
        await iterations()
    assert [entry["event"] for entry in logs] == ["count failed"]


async def test_a_fault_inside_is_logged(registry: Registry, store: CountedStore) -> None:
    store.fault = ZeroDivisionError()
    with capture_logs() as logs, pytest.raises(ZeroDivisionError):
        await registry.forecast()
    await iterations()
    assert [entry["log_level"] for entry in logs] == ["error"]


async def test_one_who_leaves_does_not_stop_the_count(
    registry: Registry, store: CountedStore
) -> None:
    store.gate.clear()
    leaving, staying = (asyncio.create_task(registry.forecast()) for _ in range(2))
    await iterations()
    leaving.cancel()
    await iterations()
    store.gate.set()
    assert (await staying).live == 0


async def test_a_registry_that_is_closed_counts_no_further(
    store: CountedStore, clock: Clock
) -> None:
    registry = make_registry(store, clock=clock)
    store.gate.clear()
    asking = asyncio.create_task(registry.forecast())
    await iterations()
    await registry.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(store.steps) == 1


async def test_it_rests_after_a_step_unless_somebody_waits(
    store: CountedStore, clock: Clock
) -> None:
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    counting = census.Census(store.count, clock, sleep)
    first = await counting.ask()
    assert rests == []
    clock.advance(100)
    assert await counting.ask() is first
    while await counting.ask() is first:
        await iterations()
    assert len(rests) == 91
    assert min(rests) > 0
    clock.advance(DAY)
    await counting.ask()
    assert len(rests) == 91
