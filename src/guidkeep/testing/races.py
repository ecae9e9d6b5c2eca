"""The promises of every store for concurrent operations."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING

import pytest

from guidkeep.record import Query, Record
from guidkeep.testing.records import NOW, guid_of, make_record, newer

if TYPE_CHECKING:
    from guidkeep.stores import Store
    from guidkeep.testing.opening import Opener


async def test_of_many_inserts_of_one_guid_one_succeeds(store: Store) -> None:
    rivals = [make_record(1, user=f"user {number}", version=number) for number in range(300)]
    done = await asyncio.gather(*(store.insert(rival) for rival in rivals))
    assert done.count(True) == 1
    assert await store.get(guid_of(1)) == rivals[done.index(True)]


async def test_of_many_replacements_of_one_version_one_succeeds(store: Store) -> None:
    old = make_record(1, version=1)
    await store.insert(old)
    rivals = [make_record(1, user=f"user {number}", version=number) for number in range(2, 300)]
    done = await asyncio.gather(*(store.replace(rival, 1) for rival in rivals))
    assert done.count(True) == 1
    assert await store.get(old.guid) == rivals[done.index(True)]


async def test_of_many_deletions_of_one_version_one_succeeds(store: Store) -> None:
    record = make_record(1)
    await store.insert(record)
    done = await asyncio.gather(*(store.delete(record.guid, 1) for _ in range(300)))
    assert done.count(True) == 1
    assert await store.get(record.guid) is None


async def test_no_increment_of_many_writers_is_lost(store: Store) -> None:
    """Each reads the record, adds one and tries to replace it, until it succeeds."""
    await store.insert(make_record(1, metadata='{"n":0}'))

    async def add_one() -> None:
        done = False
        while not done:
            old = await store.get(guid_of(1))
            assert old is not None
            text = json.dumps({"n": json.loads(old.metadata)["n"] + 1})
            new = Record(old.guid, old.expire, old.version + 1, text)
            done = await store.replace(new, old.version)

    await asyncio.gather(*(add_one() for _ in range(40)))
    found = await store.get(guid_of(1))
    assert found is not None
    assert json.loads(found.metadata) == {"n": 40}
    assert found.version == 41


async def test_a_read_that_begins_after_a_write_was_answered_sees_it(store: Store) -> None:
    async def follow(number: int) -> None:
        record = make_record(number)
        await store.insert(record)
        for _ in range(20):
            assert await store.get(record.guid) == record
            new = newer(record, user=f"user {record.version}")
            assert await store.replace(new, record.version)
            record = new
        assert await store.delete(record.guid, record.version)
        assert await store.get(record.guid) is None

    await asyncio.gather(*(follow(number) for number in range(20)))


async def test_thousands_of_operations_at_once_are_all_answered_rightly(
    store: Store, thousands: int
) -> None:
    """More operations than one batch holds, of all kinds, each on its own record."""
    records = [make_record(number, user=f"user {number}") for number in range(thousands)]
    assert all(await asyncio.gather(*(store.insert(record) for record in records)))
    assert await asyncio.gather(*(store.get(record.guid) for record in records)) == records

    def act(number: int) -> asyncio.Future[bool]:
        record = records[number]
        doing = [
            store.replace(newer(record), record.version),
            store.replace(newer(record), record.version + 7),
            store.delete(record.guid, record.version),
            store.delete(record.guid, record.version + 7),
            store.insert(newer(record)),
            store.insert(make_record(thousands + number)),
        ]
        chosen = doing.pop(number % 6)
        for other in doing:
            other.close()
        return asyncio.ensure_future(chosen)

    order = list(range(thousands))
    random.Random(7).shuffle(order)  # noqa: S311 - an order, not a secret
    acting = {number: act(number) for number in order}
    done = dict(zip(acting, await asyncio.gather(*acting.values()), strict=True))
    expected = [True, False, True, False, False, True] * (thousands // 6)
    assert [done[number] for number in range(thousands)] == expected
    for number, found in enumerate(
        await asyncio.gather(*(store.get(record.guid) for record in records))
    ):
        changed = {0: newer(records[number]), 2: None}
        assert found == changed.get(number % 6, records[number])


async def test_each_call_gets_its_own_result_with_purges_in_between(store: Store) -> None:
    old = [make_record(number, expire=NOW - 5) for number in range(30)]
    await asyncio.gather(*(store.insert(record) for record in old))
    work: list[asyncio.Future[int]] = []
    for number in range(10):
        work += [
            asyncio.ensure_future(store.insert(make_record(100 + number))),
            asyncio.ensure_future(store.purge(NOW, 2)),
            asyncio.ensure_future(store.insert(make_record(100 + number))),
            asyncio.ensure_future(store.delete(guid_of(500), 1)),
        ]
    assert await asyncio.gather(*work) == [True, 2, False, False] * 10
    assert len(await store.page(Query(1000), NOW - 1000)) == 10 + 10


@pytest.mark.parametrize("copies", [2, 1500])
async def test_one_guid_asked_for_many_times_at_once_is_answered_each_time(
    store: Store, copies: int
) -> None:
    record = make_record(1)
    await store.insert(record)
    asked = [guid_of(number % 2) for number in range(copies)]
    found = await asyncio.gather(*(store.get(guid) for guid in asked))
    assert found == [record if guid == record.guid else None for guid in asked]


async def test_a_cancelled_write_happens_and_its_caller_hears_of_it_afterwards(
    store: Store,
) -> None:
    task = asyncio.ensure_future(store.insert(make_record(1)))
    await asyncio.sleep(0)  # the write begins
    if task.cancel():  # it has not happened yet
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await store.get(guid_of(1)) == make_record(1)


async def test_close_waits_for_calls_that_have_begun(opener: Opener) -> None:
    records = [make_record(number) for number in range(2000)]
    async with opener() as store:
        writing = [asyncio.ensure_future(store.insert(record)) for record in records]
        await asyncio.sleep(0)  # the calls begin
    assert all(await asyncio.gather(*writing))
    async with opener() as store:
        assert await asyncio.gather(*(store.get(record.guid) for record in records)) == records
