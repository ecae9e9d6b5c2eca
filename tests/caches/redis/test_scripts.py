"""The scripts: the ends of leases and entries by Redis' clock, and the contents of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.caches import Lease
from guidkeep.record import Record
from servers.redis import prefix_of
from tests.caches.redis.conftest import NEWER, NOW, RECORD, held, keep, reader
from tests.support import GUID, until

if TYPE_CHECKING:
    from servers.redis import Redis
    from tests.caches.redis.conftest import Opener

SHORT = 0.05
"""Seconds."""


def micros(server: Redis) -> int:
    seconds, rest = server.ask("TIME")
    return int(seconds) * 1_000_000 + int(rest)


async def pass_by(server: Redis, seconds: float = SHORT) -> None:
    """Returns when that time has passed by Redis' clock."""
    end = micros(server) + seconds * 1_000_000 + 1000
    await until(lambda: micros(server) >= end)


async def test_a_readers_lease_times_out(shared: Redis, open_at: Opener) -> None:
    cache = open_at(shared.fresh(), lease_time=SHORT)
    late = await reader(cache)
    await pass_by(shared)
    await cache.fill(late, RECORD, NOW)
    assert await held(cache) is None
    await reader(cache)


async def test_a_writers_timeout_removes_its_lease_alone(shared: Redis, open_at: Opener) -> None:
    url = shared.fresh()
    hasty, patient = open_at(url, lease_time=SHORT), open_at(url)
    first, second = await hasty.lease(GUID), await patient.lease(GUID)
    await pass_by(shared)
    assert await patient.get(GUID, NOW) is None
    await hasty.settle(first, RECORD, NOW)
    assert await patient.get(GUID, NOW) is None
    await patient.settle(second, NEWER, NOW)
    assert await held(patient) == NEWER


async def test_a_writer_whose_lease_has_timed_out_is_still_known_to_have_come_last(
    shared: Redis, open_at: Opener
) -> None:
    url = shared.fresh()
    hasty, patient = open_at(url, lease_time=SHORT), open_at(url)
    first = await patient.lease(GUID)
    await hasty.lease(GUID)
    await pass_by(shared)
    await patient.settle(first, RECORD, NOW)
    assert await held(patient) is None


async def test_while_an_others_lease_stands_the_entry_of_the_last_writer_is_there(
    shared: Redis, open_at: Opener
) -> None:
    url = shared.fresh()
    hasty, patient = open_at(url, lease_time=SHORT), open_at(url)
    await hasty.lease(GUID)
    await patient.settle(await patient.lease(GUID), NEWER, NOW)
    assert await held(patient) == NEWER
    await pass_by(shared)
    assert await held(patient) == NEWER


async def test_when_all_writers_leases_have_timed_out_a_reader_gets_one(
    shared: Redis, open_at: Opener
) -> None:
    """The key lasts, because of its other fields."""
    url = shared.fresh()
    hasty, patient = open_at(url, lease_time=SHORT, max_age=0.3), open_at(url)
    await hasty.lease(GUID)
    await hasty.settle(await hasty.lease(GUID), RECORD, NOW)
    await pass_by(shared)
    assert isinstance(await patient.get(GUID, NOW + 1), Lease)


async def test_an_entry_lives_no_longer_by_redis_clock_than_by_the_nodes(
    shared: Redis, open_at: Opener
) -> None:
    url = shared.fresh()
    cache = open_at(url, max_age=SHORT)
    await keep(cache)
    await pass_by(shared)
    assert shared.keys(url) == []
    assert await held(cache) is None


async def test_the_same_beside_a_lease_that_lasts_longer(shared: Redis, open_at: Opener) -> None:
    url = shared.fresh()
    cache = open_at(url, max_age=SHORT)
    first, second = await cache.lease(GUID), await cache.lease(GUID)
    await cache.settle(second, RECORD, NOW)
    await pass_by(shared)
    assert len(shared.keys(url)) == 1
    assert await cache.get(GUID, NOW) is None
    await cache.settle(first, None, NOW)
    assert shared.keys(url) == []


async def test_a_key_ends_with_the_last_thing_in_it(shared: Redis, open_at: Opener) -> None:
    url = shared.fresh()
    cache = open_at(url)
    await reader(cache)
    [key] = shared.keys(url)
    assert 14_000 < shared.ask("PTTL", key) <= 15_000
    await cache.lease(GUID)
    assert 14_000 < shared.ask("PTTL", key) <= 15_000
    await keep(cache)
    assert 59_000 < shared.ask("PTTL", key) <= 60_000
    shared.flush(url)
    await keep(cache, Record(GUID, NOW + 5, 1, "{}"))
    assert 4_000 < shared.ask("PTTL", key) <= 5_000


async def test_nothing_is_left_of_leases_that_were_given_back(
    shared: Redis, open_at: Opener
) -> None:
    url = shared.fresh()
    cache = open_at(url)
    await cache.fill(await reader(cache), None, NOW)
    await cache.settle(await cache.lease(GUID), None, NOW)
    await cache._drop(GUID, 0)
    assert shared.keys(url) == []


async def test_an_unreadable_value_counts_as_nothing(shared: Redis, open_at: Opener) -> None:
    url = shared.fresh()
    cache = open_at(url)
    key = prefix_of(url) + GUID
    for value in ("", "of another program", b"\xc1"):
        shared.ask("SET", key, value)
        await cache.fill(await reader(cache), None, NOW)
        shared.ask("SET", key, value)
        await keep(cache)
        assert await held(cache) == RECORD


async def test_a_key_of_another_kind_is_a_miss_and_no_reason_to_distrust_redis(
    shared: Redis, open_at: Opener
) -> None:
    url = shared.fresh()
    cache = open_at(url)
    shared.ask("SADD", prefix_of(url) + GUID, "member")
    for _ in range(5):
        assert await cache.get(GUID, NOW) is None
    await cache.ping()
    assert cache.counts.unreachable == 0


async def test_a_drop_overtakes_the_writers_whose_leases_stand(
    shared: Redis, open_at: Opener
) -> None:
    url = shared.fresh()
    cache = open_at(url)
    first, second = await cache.lease(GUID), await cache.lease(GUID)
    await cache._drop(GUID, 0)
    assert await cache.get(GUID, NOW) is None
    await cache.settle(second, NEWER, NOW)
    assert await cache.get(GUID, NOW) is None
    await cache.settle(first, RECORD, NOW)
    assert await held(cache) is None
    assert shared.keys(url) == []


async def test_a_drop_revokes_the_readers_lease(shared: Redis, open_at: Opener) -> None:
    cache = open_at(shared.fresh())
    lease = await reader(cache)
    await cache._drop(GUID, 0)
    await cache.fill(lease, RECORD, NOW)
    assert await held(cache) is None
