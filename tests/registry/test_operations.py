"""The registry's own decisions: versions, random GUIDs, changes without effect."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest

from guidkeep.caches import CacheOptions, Lease, open_cache
from guidkeep.caches.memory import MemoryCache
from guidkeep.caches.none import NoCache
from guidkeep.errors import InvalidRequest, NotFound, PreconditionFailed, StoreUnavailable
from guidkeep.http.conditions import Preconditions
from guidkeep.metrics import Metrics
from guidkeep.record import DEFAULT_LIFETIME, LAST_EXPIRE, Query, Record, is_guid, parse_change
from guidkeep.registry import access
from guidkeep.registry.aside import LARGE
from guidkeep.schema import MetadataSchema
from tests.registry.memory_store import MemoryStore
from tests.support import GUID, MARCH_2015, Clock, change, make_registry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from guidkeep.errors import Fault
    from guidkeep.jsontext import Member
    from guidkeep.registry.registry import Registry
    from guidkeep.stores import Store

NOW = MARCH_2015


class CountingStore(MemoryStore):
    """A store that counts writes, attempts included."""

    writes = 0

    async def insert(self, record: Record) -> bool:
        self.writes += 1
        return await super().insert(record)

    async def replace(self, record: Record, version: int) -> bool:
        self.writes += 1
        return await super().replace(record, version)


class OvertakenStore(MemoryStore):
    """A store in which something happens before the first insert."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def insert(self, record: Record) -> bool:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            await meanwhile()
        return await super().insert(record)


class Unreachable(NoCache):
    async def ping(self) -> None:
        raise ConnectionRefusedError


class Down(MemoryStore):
    async def ping(self) -> None:
        raise StoreUnavailable("down")


async def test_a_version_begins_with_the_time_of_the_write_in_milliseconds(
    registry: Registry, clock: Clock
) -> None:
    clock.now = NOW + 0.25
    written = await registry.create_or_update(change(now=NOW))
    assert 0 < written.record.version - (NOW * 1000 + 250 << 21) <= 1 << 21


async def test_a_create_that_was_overtaken_by_a_slow_clock_leaves_no_former_value_behind() -> None:
    """The record of the slow one is expired for the other, which has not read it."""
    store, cache = OvertakenStore(), open_cache("memory://", CacheOptions(max_age=60))
    slow = make_registry(store, cache, clock=Clock(NOW))
    ahead = make_registry(store, cache, clock=Clock(NOW + 30))
    brief = change(body=f'{{"user":"slow","expire":{NOW + 10}}}', now=NOW)
    store.meanwhile = lambda: slow.create_or_update(brief)
    written = await ahead.create_or_update(change(body='{"user":"ahead"}', now=NOW + 30))
    assert written.created
    assert await slow.read(GUID) == written.record


async def test_two_nodes_never_give_one_version_to_two_records(store: Store, clock: Clock) -> None:
    """Two records created at one instant, with a deletion in between."""
    versions = set()
    for node in (make_registry(store, clock=clock), make_registry(store, clock=clock)) * 2:
        written = await node.create_or_update(change(now=NOW))
        versions.add(written.record.version)
        await node.delete(written.record.guid)
    assert len(versions) == 4


@pytest.mark.parametrize("seconds", [0, -3600])
async def test_a_version_is_greater_than_the_one_before_whatever_the_clock_does(
    registry: Registry, clock: Clock, seconds: float
) -> None:
    versions = []
    for at in range(5):
        written = await registry.create_or_update(change(body=f'{{"user":"{at}"}}', now=NOW))
        versions.append(written.record.version)
        clock.advance(seconds)
    assert versions == sorted(set(versions))


async def test_a_version_is_greater_than_one_that_a_node_whose_clock_is_ahead_wrote(
    store: Store, clock: Clock
) -> None:
    ahead = make_registry(store, clock=Clock(NOW + 30))
    first = (await ahead.create_or_update(change(now=NOW))).record
    second = await make_registry(store, clock=clock).update(
        GUID, change(body='{"user":"Bob"}', now=NOW)
    )
    assert second.version > first.version


@pytest.mark.parametrize("operation", ["create_or_update", "replace"])
async def test_a_random_guid_that_is_taken_is_drawn_again(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    mine = (await registry.create_or_update(change(now=NOW))).record
    drawn = iter([GUID, GUID, "F" * 32])
    monkeypatch.setattr(access, "new_guid", lambda: next(drawn))
    other = change(None, '{"user":"Bob"}', now=NOW)
    written = await getattr(registry, operation)(other)
    assert written.record.guid == "F" * 32
    assert written.created
    assert await registry.read(GUID) == mine
    assert (await registry.read("F" * 32)).user == "Bob"


async def test_a_random_guid_that_is_taken_is_not_used_even_if_it_has_expired(
    registry: Registry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registry.create_or_update(change(now=NOW))
    clock.advance(DEFAULT_LIFETIME)
    guids = iter([GUID, GUID[::-1]])
    monkeypatch.setattr(access, "new_guid", lambda: next(guids))
    written = await registry.create_or_update(change(None, '{"user":"Bob"}', now=NOW))
    assert written == (await registry.read(GUID[::-1]), True)


class Counting(MemoryCache):
    """A cache that counts leases; `takes_unread` is set by the test."""

    def __init__(self, *, takes_unread: bool) -> None:
        super().__init__(max_size=1 << 20, max_age=60)
        self.takes_unread = takes_unread
        self.leases = 0

    async def lease(self, guid: str) -> Lease:
        self.leases += 1
        return await super().lease(guid)


@pytest.mark.parametrize("takes_unread", [True, False])
async def test_a_record_under_a_random_guid_is_put_into_the_cache_only_if_that_pays(
    *, takes_unread: bool
) -> None:
    cache = Counting(takes_unread=takes_unread)
    registry = make_registry(MemoryStore(), cache)
    created = (await registry.create_or_update(change(None, now=NOW))).record
    assert cache.leases == takes_unread
    assert (registry.hit(created.guid) is not None) == takes_unread
    assert await registry.read(created.guid) == created
    assert registry.hit(created.guid) is not None, "the first who asks puts it in"
    await registry.update(created.guid, change(body='{"n":1}', now=NOW))
    assert cache.leases == takes_unread + 1, "whoever changes it leases"


async def test_past_the_cache_too_a_random_guid_that_is_taken_is_drawn_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = make_registry(MemoryStore(), NoCache())
    await registry.create_or_update(change(now=NOW))
    guids = iter([GUID, GUID[::-1]])
    monkeypatch.setattr(access, "new_guid", lambda: next(guids))
    written = await registry.create_or_update(change(None, '{"user":"Bob"}', now=NOW))
    assert written == (await registry.read(GUID[::-1]), True)


async def test_past_the_cache_too_a_condition_holds_for_a_new_record() -> None:
    registry = make_registry(MemoryStore(), NoCache())
    with pytest.raises(PreconditionFailed):
        await registry.create_or_update(change(None, now=NOW), Preconditions(frozenset("*")))


async def test_a_generated_guid_is_one(registry: Registry) -> None:
    written = await registry.create_or_update(change(None, now=NOW))
    assert is_guid(written.record.guid)
    assert await registry.read(written.record.guid) == written.record


@pytest.mark.parametrize("body", ['{"user":"Ann"}', "{}", '{"nothing":null}'])
async def test_a_change_that_changes_nothing_writes_nothing(body: str) -> None:
    store = CountingStore()
    registry = make_registry(store)
    first = (await registry.create_or_update(change(now=NOW))).record
    again = await registry.create_or_update(change(body=body, now=NOW))
    assert again == (first, False)
    assert await registry.update(GUID, change(body=body, now=NOW)) == first
    assert store.writes == 1


async def test_a_change_of_the_text_alone_is_a_change() -> None:
    store = CountingStore()
    registry = make_registry(store)
    first = (await registry.create_or_update(change(body='{"user":"Ann","n":1.0}', now=NOW))).record
    second = await registry.update(GUID, change(body='{"n":1.00}', now=NOW))
    assert second.metadata == '{"user":"Ann","n":1.00}'
    assert second.version > first.version


async def test_a_condition_that_fails_is_told_though_nothing_would_change(
    registry: Registry,
) -> None:
    await registry.create_or_update(change(now=NOW))
    for condition in (Preconditions(frozenset(['"1"'])), Preconditions(None, frozenset("*"))):
        with pytest.raises(PreconditionFailed):
            await registry.create_or_update(change(now=NOW), condition)


async def test_if_match_on_a_guid_that_is_to_be_generated_fails(registry: Registry) -> None:
    with pytest.raises(PreconditionFailed, match="there is no live record"):
        await registry.create_or_update(change(None, now=NOW), Preconditions(frozenset("*")))


async def test_a_lifetime_beyond_the_year_9999_ends_there(store: Store) -> None:
    registry = make_registry(store, lifetime=1e15)
    written = await registry.create_or_update(change(now=NOW))
    assert written.record.expire == LAST_EXPIRE


async def test_a_record_lives_as_long_as_the_registry_was_told(store: Store, clock: Clock) -> None:
    registry = make_registry(store, clock=clock, lifetime=7)
    await registry.create_or_update(change(now=NOW))
    clock.advance(6.999)
    await registry.read(GUID)
    clock.advance(0.001)
    assert registry.hit(GUID) is None
    with pytest.raises(NotFound):
        await registry.read(GUID)


@pytest.mark.parametrize("guid", ["5", '"x"', "null", '""', "[]", "{}", "true"])
@pytest.mark.parametrize("operation", ["create_or_update", "replace"])
async def test_a_guid_in_the_body_that_is_none_is_a_fault_of_the_request(
    registry: Registry, operation: str, guid: str
) -> None:
    wrong = parse_change(f'{{"guid": {guid}, "user": 5}}'.encode(), now=NOW)
    with pytest.raises(InvalidRequest) as refused:
        await getattr(registry, operation)(wrong)
    assert [fault.pointer for fault in refused.value.faults] == ["/guid", "/user"]


async def test_a_guid_in_the_url_that_is_none_is_a_fault_of_the_request(registry: Registry) -> None:
    with pytest.raises(InvalidRequest):
        await registry.read("x")
    with pytest.raises(InvalidRequest):
        await registry.delete("x")
    with pytest.raises(InvalidRequest):
        await registry.update("x", change("x", now=NOW))
    assert registry.hit("x") is None


async def test_a_member_that_is_removed_may_be_misspelt(registry: Registry) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await registry.update("x", parse_change(b'{"expires":null}', now=NOW, guid="x"))
    assert [fault.parameter for fault in refused.value.faults] == ["guid"]
    with pytest.raises(NotFound):
        await registry.update(GUID, change(body='{"expires":null}', now=NOW))
    with pytest.raises(InvalidRequest, match="expires"):
        await registry.update(GUID, change(body='{"expires":5}', now=NOW))


async def test_an_update_may_not_leave_what_the_schema_forbids(registry: Registry) -> None:
    before = (await registry.create_or_update(change(now=NOW))).record
    with pytest.raises(InvalidRequest):
        await registry.update(GUID, change(body='{"user":null}', now=NOW))
    assert await registry.read(GUID) == before


async def test_a_list_says_whether_there_is_more(registry: Registry) -> None:
    for at in range(3):
        await registry.create_or_update(change(f"{at:032X}", now=NOW))
    assert (await registry.list(Query(limit=2))).more
    last = await registry.list(Query(limit=2, after=f"{1:032X}"))
    assert ([record.guid for record in last.records], last.more) == ([f"{2:032X}"], False)
    assert not (await registry.list(Query(limit=3))).more


async def test_the_time_that_the_store_takes_is_measured() -> None:
    began, metrics = time.perf_counter(), Metrics()
    registry = make_registry(MemoryStore(), metrics=metrics)
    for _ in range(3):
        await registry.list(Query())
    took = time.perf_counter() - began
    seconds = metrics.tally("guidkeep_store_seconds", "page", "ok")
    assert sum(seconds.counts) == 3
    assert 0 < seconds.total < took


async def test_a_check_says_how_the_registry_fares(store: Store) -> None:
    assert await make_registry(store).check() == "ok"
    assert await make_registry(store, Unreachable()).check() == "degraded"
    with pytest.raises(StoreUnavailable):
        await make_registry(Down()).check()


class Watched(MetadataSchema):
    """A schema that records the thread of each check."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[threading.Thread] = []

    def faults(self, metadata: Mapping[str, Member]) -> list[Fault]:
        self.threads.append(threading.current_thread())
        return super().faults(metadata)


@pytest.mark.parametrize("size", [10, 2 * LARGE])
async def test_long_work_on_a_request_is_done_beside_the_loop(size: int) -> None:
    schema, clock = Watched(), Clock(NOW)
    registry = make_registry(MemoryStore(), clock=clock, schema=schema)
    body = json.dumps({"user": "Ann", "text": "x" * size})
    await registry.create_or_update(change(None, body, now=NOW))
    await registry.create_or_update(change(body=body, now=NOW))
    await registry.update(GUID, change(body='{"n": 1}', now=NOW))  # a small change of a large one
    await registry.replace(change(body=body, now=NOW))
    with pytest.raises(InvalidRequest):
        await registry.replace(change(body=body.replace("user", "owner"), now=NOW))
    at_once = [thread is threading.main_thread() for thread in schema.threads]
    assert at_once == [size < LARGE] * 5
    await registry.close()


async def test_a_stored_record_that_is_damaged_is_no_fault_of_the_requests() -> None:
    store = MemoryStore()
    store.records[GUID] = Record(GUID, NOW + 60, 1, '{"user":"Ann", \x1b')
    registry = make_registry(store, clock=Clock(NOW))
    with pytest.raises(ValueError, match=f"The stored metadata of {GUID} is damaged"):
        await registry.update(GUID, change(body='{"user": "Bob"}', now=NOW))
    assert store.records[GUID].version == 1
