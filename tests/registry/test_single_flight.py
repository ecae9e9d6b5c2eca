"""Concurrent reads of one GUID share a load, and none returns a state older than allowed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from guidkeep.caches.none import NoCache
from guidkeep.errors import NotFound, OutcomeUnknown, StoreUnavailable
from tests.registry.memory_store import MemoryStore
from tests.registry.slow_store import NEW, OLD, SlowStore, assert_nothing_is_left
from tests.support import GUID, MARCH_2015, Clock, change, iterations, make_registry


@pytest.mark.parametrize("cache", [None, NoCache()], ids=["memory", "none"])
async def test_a_thousand_readers_of_one_cold_guid_ask_the_store_once_or_twice(cache: Any) -> None:
    store = SlowStore(OLD)
    registry = make_registry(store, cache)
    readers = [asyncio.create_task(registry.read(GUID)) for _ in range(1000)]
    await store.let_go()
    store.slow = False
    if cache is None:
        assert store.gets == 1  # later callers share a load that finds the entry
    elif store.waiting:
        await store.let_go()  # without a cache there is no entry: their load reads again
    assert [await reader for reader in readers] == [OLD] * 1000
    assert store.gets == (1 if cache is None else 2)
    assert_nothing_is_left(registry)


async def test_who_arrives_during_a_flight_does_not_get_what_it_brings() -> None:
    """It may have read the store before a write that had its response before they came."""
    store = SlowStore(OLD)
    registry = make_registry(store, NoCache())
    early = asyncio.create_task(registry.read(GUID))
    await iterations()
    store.records[GUID] = NEW  # as another node does
    late = [asyncio.create_task(registry.read(GUID)) for _ in range(3)]
    await store.let_go()
    await store.let_go()
    assert await early == OLD
    assert [await reader for reader in late] == [NEW] * 3
    assert store.gets == 2


async def test_a_flight_that_fails_fails_only_its_own_readers() -> None:
    store = SlowStore(OLD)
    registry = make_registry(store)
    first = asyncio.create_task(registry.read(GUID))
    await iterations()
    second = [asyncio.create_task(registry.read(GUID)) for _ in range(3)]
    await store.let_go(StoreUnavailable("down"))
    third = asyncio.create_task(registry.read(GUID))
    await store.let_go(StoreUnavailable("still down"))
    await store.let_go()
    with pytest.raises(StoreUnavailable, match=r"^down"):
        await first
    for reader in second:
        with pytest.raises(StoreUnavailable, match="still down"):
            await reader
    assert await third == OLD
    assert_nothing_is_left(registry)


async def test_a_fault_that_nobody_thought_of_reaches_everybody_who_waits() -> None:
    store = SlowStore(OLD)
    registry = make_registry(store)
    readers = [asyncio.create_task(registry.read(GUID)) for _ in range(2)]
    await store.let_go(RuntimeError("never seen before"))
    await store.let_go(RuntimeError("never seen before"))
    done, waiting = await asyncio.wait(readers, timeout=1)
    for reader in waiting:
        reader.cancel()
    assert not waiting, "a reader would wait for ever"
    assert [type(reader.exception()) for reader in done] == [RuntimeError] * 2
    await registry.close()
    assert_nothing_is_left(registry)


async def test_a_flight_goes_on_for_the_others_when_its_first_reader_leaves() -> None:
    store = SlowStore(OLD)
    registry = make_registry(store)
    first, second, third = (asyncio.create_task(registry.read(GUID)) for _ in range(3))
    await iterations()
    first.cancel()
    second.cancel()
    await iterations()
    await store.let_go()
    assert await third == OLD
    assert first.cancelled()
    assert second.cancelled()
    assert_nothing_is_left(registry)


async def test_a_flight_that_fails_when_all_its_readers_have_left_bothers_nobody() -> None:
    store = SlowStore(OLD)
    registry = make_registry(store)
    first, second = (asyncio.create_task(registry.read(GUID)) for _ in range(2))
    await store.let_go()
    registry.cache = make_registry(store).cache  # cold again: the second load has to read the store
    await iterations()
    second.cancel()
    while store.waiting:
        await store.let_go(StoreUnavailable("down"))
    assert await first == OLD
    await registry.close()
    assert_nothing_is_left(registry)


async def test_a_write_whose_store_gives_up_keeps_its_lease_until_the_outcome_is_known() -> None:
    store = SlowStore(OLD)
    store.slow = False
    registry = make_registry(store)
    settled_later: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    await registry.read(GUID)
    assert registry.hit(GUID)
    store.slow = True
    write = asyncio.create_task(registry.update(GUID, change(now=MARCH_2015)))
    await store.let_go(OutcomeUnknown("late", settled_later))
    with pytest.raises(OutcomeUnknown):
        await write
    store.slow = False
    assert await registry.read(GUID) == OLD
    assert registry.hit(GUID) is None, "the entry could be from before the write"
    store.records[GUID] = NEW  # it did happen, after all
    assert await registry.read(GUID) == NEW
    assert registry.hit(GUID) is None
    settled_later.set_result(None)
    await registry.close()
    assert_nothing_is_left(registry)
    assert await registry.read(GUID) == NEW
    assert registry.hit(GUID)


async def test_closing_waits_for_writes_that_nobody_waits_for_any_more() -> None:
    store = SlowStore(OLD)
    registry = make_registry(store)
    settled_later: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    write = asyncio.create_task(registry.delete(GUID))
    store.delete = lambda *_: _raise(OutcomeUnknown("late", settled_later))  # type: ignore[method-assign]  # a fault
    await store.let_go()
    with pytest.raises(OutcomeUnknown):
        await write
    closing = asyncio.create_task(registry.close())
    await iterations()
    assert not closing.done()
    settled_later.set_result(None)
    await closing
    assert_nothing_is_left(registry)


async def test_writers_of_one_guid_that_failed_take_turns() -> None:
    """Each writer fails at most once: then they write one after another."""
    store = MemoryStore()
    registry = make_registry(store)
    await registry.create_or_update(change(now=MARCH_2015))
    writes = [
        registry.update(GUID, change(body=f'{{"m{at}": {at}}}', now=MARCH_2015))
        for at in range(100)
    ]
    await asyncio.gather(*writes)
    record = await registry.read(GUID)
    assert all(f'"m{at}":{at}' in record.metadata.replace(" ", "") for at in range(100))
    assert not registry._locks
    assert_nothing_is_left(registry)


async def test_an_expired_record_is_not_shared_between_readers_of_before_and_after() -> None:
    store, clock = SlowStore(OLD), Clock()
    registry = make_registry(store, clock=clock)
    before = asyncio.create_task(registry.read(GUID))
    await iterations()
    clock.advance(100)
    after = asyncio.create_task(registry.read(GUID))
    await store.let_go()
    store.slow = False
    while store.waiting:
        await store.let_go()
    assert await before == OLD
    with pytest.raises(NotFound):
        await after
    assert_nothing_is_left(registry)


async def _raise(error: Exception) -> bool:
    raise error
