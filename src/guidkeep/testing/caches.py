"""The contract of a cache: `from guidkeep.testing.caches import *`, and a fixture `place`.

It is the protocol of `guidkeep.caches`, one call at a time. The test module defines the fixture
`place`. It yields an empty cache, whose entries live for 60 seconds, and a function that makes it
forget all entries and leases; at the end it closes the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from guidkeep.caches import Lease
from guidkeep.caches.entries import entry_of, render
from guidkeep.record import Record
from guidkeep.testing.looks import look
from guidkeep.testing.records import GUID, NOW

if TYPE_CHECKING:
    from guidkeep.caches import Cache

OTHER = "0" * 32
RECORD = Record(GUID, NOW + 30, 7, '{"user":"Ann"}')
NEWER = Record(GUID, NOW + 30, 8, '{"user":"Bob"}')


Flush = Callable[[], None]


@pytest.fixture
def cache(place: tuple[Cache, Flush]) -> Cache:
    """The cache."""
    return place[0]


@pytest.fixture
def any_cache(cache: Cache) -> Cache:
    """The cache, for promises that hold even if it keeps nothing."""
    return cache


@pytest.fixture
def flush(place: tuple[Cache, Flush]) -> Flush:
    """Makes the cache forget everything, leases in use included."""
    return place[1]


@pytest.fixture
async def remote(cache: Cache) -> Cache:
    """A cache on another machine, connected to its key's server by an earlier call."""
    await cache.ping()
    if not cache.peek(GUID, NOW, lambda _: None):
        pytest.skip("It keeps its entries in this process.")
    return cache


async def held(cache: Cache, guid: str = GUID, now: float = NOW) -> Record | None:
    """Returns the entry."""
    found = await cache.get(guid, now)
    if isinstance(found, Lease):
        await cache.fill(found, None, now)
    return found if isinstance(found, Record) else None


async def reader(cache: Cache, guid: str = GUID, now: float = NOW) -> Lease:
    """Returns a reader's lease."""
    lease = await cache.get(guid, now)
    assert isinstance(lease, Lease)
    return lease


async def keep(cache: Cache, record: Record, now: float = NOW) -> None:
    lease = await cache.lease(record.guid)
    await cache.settle(lease, record, now)


# Promises of every cache, even one that keeps nothing.


async def test_a_guid_that_was_never_filled_has_no_entry(any_cache: Cache) -> None:
    assert any_cache.hit(GUID, NOW) is None
    assert not isinstance(await any_cache.get(GUID, NOW), Record)


async def test_an_entry_is_the_record_that_was_put_in_or_none(any_cache: Cache) -> None:
    await keep(any_cache, RECORD)
    found = await any_cache.get(GUID, NOW)
    assert found == RECORD or not isinstance(found, Record)


async def test_every_call_may_be_made_in_any_order(any_cache: Cache) -> None:
    lease = await any_cache.lease(GUID)
    await any_cache.fill(lease, RECORD, NOW)
    await any_cache.settle(lease, RECORD, NOW)
    await any_cache.settle(lease, RECORD, NOW)
    await any_cache.fill(Lease(OTHER, 1), RECORD, NOW)
    await any_cache.ping()
    assert any_cache.counts.unsettled == 0


async def test_a_miss_is_counted(any_cache: Cache) -> None:
    await any_cache.get(GUID, NOW)
    assert any_cache.counts.misses == 1


# Looks.


async def test_a_look_without_an_entry_finds_nothing(any_cache: Cache) -> None:
    assert await look(any_cache) is None
    assert (any_cache.counts.hits, any_cache.counts.misses) == (0, 0)


async def test_a_look_at_an_entry_is_a_hit(remote: Cache) -> None:
    await keep(remote, RECORD)
    assert await look(remote) == render(entry_of(RECORD))
    assert (remote.counts.hits, remote.counts.misses) == (1, 0)


async def test_a_look_takes_no_lease(remote: Cache) -> None:
    assert await look(remote) is None
    await reader(remote)


async def test_a_look_leaves_a_readers_lease_alone(remote: Cache) -> None:
    lease = await reader(remote)
    assert await look(remote) is None
    await remote.fill(lease, RECORD, NOW)
    assert await look(remote) == render(entry_of(RECORD))


async def test_a_look_while_a_write_is_under_way_finds_nothing(remote: Cache) -> None:
    await keep(remote, RECORD)
    lease = await remote.lease(GUID)
    assert await look(remote) is None
    await remote.settle(lease, NEWER, NOW)
    assert await look(remote) == render(entry_of(NEWER))


async def test_a_look_at_an_entry_ends_with_its_record(remote: Cache) -> None:
    await keep(remote, RECORD)
    assert await look(remote, RECORD.expire - 0.001) == render(entry_of(RECORD))
    assert await look(remote, RECORD.expire) is None
    assert await look(remote, RECORD.expire - 0.001) == render(entry_of(RECORD)), (
        "it changed nothing"
    )


async def test_a_look_at_an_entry_ends_with_its_time_in_the_cache(remote: Cache) -> None:
    await keep(remote, Record(GUID, NOW + 1000, 1, "{}"))
    assert await look(remote, NOW + 59.999)
    assert await look(remote, NOW + 60) is None


# Readers.


async def test_a_reader_that_misses_may_fill_and_the_next_one_hits(cache: Cache) -> None:
    await cache.fill(await reader(cache), RECORD, NOW)
    assert await cache.get(GUID, NOW) == RECORD
    assert cache.counts.hits == 1


async def test_of_two_readers_that_miss_only_the_first_may_fill(cache: Cache) -> None:
    lease = await reader(cache)
    assert await cache.get(GUID, NOW) is None
    await cache.fill(lease, None, NOW)
    await reader(cache)


async def test_readers_of_different_guids_do_not_hinder_each_other(cache: Cache) -> None:
    await reader(cache)
    await reader(cache, OTHER)


async def test_that_there_is_no_record_is_not_kept(cache: Cache) -> None:
    await cache.fill(await reader(cache), None, NOW)
    await reader(cache)


async def test_a_lease_fills_once(cache: Cache) -> None:
    lease = await reader(cache)
    await cache.fill(lease, None, NOW)
    await cache.fill(lease, RECORD, NOW)
    await reader(cache)


# Writers.


async def test_a_writers_lease_drops_the_entry(cache: Cache) -> None:
    await keep(cache, RECORD)
    await cache.lease(GUID)
    assert await cache.get(GUID, NOW) is None


async def test_a_writers_lease_revokes_the_readers(cache: Cache) -> None:
    old = await reader(cache)
    lease = await cache.lease(GUID)
    await cache.fill(old, RECORD, NOW)
    assert await cache.get(GUID, NOW) is None
    await cache.settle(lease, None, NOW)
    await cache.fill(old, RECORD, NOW)
    await reader(cache)


async def test_while_a_writers_lease_stands_no_reader_gets_one(cache: Cache) -> None:
    first, second = await cache.lease(GUID), await cache.lease(GUID)
    await cache.settle(first, None, NOW)
    assert await cache.get(GUID, NOW) is None
    await cache.settle(second, None, NOW)
    await reader(cache)


async def test_a_writers_record_is_there_when_it_has_settled(cache: Cache) -> None:
    await keep(cache, RECORD)
    assert await cache.get(GUID, NOW) == RECORD


async def test_a_writer_that_was_overtaken_puts_nothing_in(cache: Cache) -> None:
    first, second = await cache.lease(GUID), await cache.lease(GUID)
    await cache.settle(first, RECORD, NOW)
    assert await cache.get(GUID, NOW) is None
    await cache.settle(second, NEWER, NOW)
    assert await cache.get(GUID, NOW) == NEWER


async def test_the_last_writer_may_settle_before_the_overtaken_ones(cache: Cache) -> None:
    first, second = await cache.lease(GUID), await cache.lease(GUID)
    await cache.settle(second, NEWER, NOW)
    assert await cache.get(GUID, NOW) == NEWER
    await cache.settle(first, RECORD, NOW)
    assert await cache.get(GUID, NOW) == NEWER


async def test_a_writer_that_deleted_leaves_nothing(cache: Cache) -> None:
    await keep(cache, RECORD)
    await cache.settle(await cache.lease(GUID), None, NOW)
    await reader(cache)


async def test_a_writer_whose_lease_is_gone_drops_an_entry_filled_in_between(
    cache: Cache, flush: Flush
) -> None:
    lease = await cache.lease(GUID)
    flush()
    await keep(cache, RECORD)
    await cache.settle(lease, NEWER, NOW)
    assert await held(cache) is None


async def test_a_writer_whose_lease_is_gone_revokes_a_readers_that_came_since(
    cache: Cache, flush: Flush
) -> None:
    lease = await cache.lease(GUID)
    flush()
    since = await reader(cache)
    await cache.settle(lease, NEWER, NOW)
    await cache.fill(since, RECORD, NOW)
    assert await held(cache) is None
    await reader(cache)


async def test_a_writer_whose_lease_is_gone_leaves_other_writers_theirs(
    cache: Cache, flush: Flush
) -> None:
    lost = await cache.lease(GUID)
    flush()
    standing = await cache.lease(GUID)
    await cache.settle(lost, RECORD, NOW)
    assert await cache.get(GUID, NOW) is None
    await cache.settle(standing, NEWER, NOW)
    assert await cache.get(GUID, NOW) == NEWER


# Time.


async def test_an_entry_lives_no_longer_than_its_record(cache: Cache) -> None:
    await keep(cache, RECORD)
    assert await held(cache, now=RECORD.expire - 0.001) == RECORD
    assert cache.hit(GUID, RECORD.expire - 0.001) in (None, render(entry_of(RECORD)))
    assert cache.hit(GUID, RECORD.expire) is None
    await reader(cache, now=RECORD.expire)


async def test_an_entry_lives_no_longer_than_the_cache_lets_it(cache: Cache) -> None:
    await keep(cache, Record(GUID, NOW + 1000, 1, "{}"))
    assert await held(cache, now=NOW + 59.999)
    assert await held(cache, now=NOW + 60) is None


async def test_a_record_that_has_expired_is_not_put_in(cache: Cache) -> None:
    await keep(cache, RECORD, now=RECORD.expire)
    assert await held(cache) is None


# After a jump of the clock.


async def test_a_clock_that_jumped_revokes_no_lease(cache: Cache) -> None:
    writer, filler = await cache.lease(GUID), await reader(cache, OTHER)
    cache.doubt()
    assert await cache.get(GUID, NOW) is None
    await cache.settle(writer, RECORD, NOW)
    assert await held(cache) == RECORD
    other = Record(OTHER, NOW + 30, 9, '{"user":"Bob"}')
    await cache.fill(filler, other, NOW)
    assert await held(cache, OTHER) == other


async def test_a_cache_that_doubts_still_returns_the_record_put_in_or_none(
    any_cache: Cache,
) -> None:
    await keep(any_cache, RECORD)
    any_cache.doubt()
    assert await held(any_cache) in (None, RECORD)
