"""The promises of every store for one record: reads and conditional writes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from guidkeep.record import LAST_EXPIRE, Query
from guidkeep.testing.records import NOW, guid_of, make_record, newer

if TYPE_CHECKING:
    from guidkeep.stores import Store
    from guidkeep.testing.opening import Opener


async def test_a_guid_that_was_never_stored_has_no_record(store: Store) -> None:
    assert await store.get(guid_of(1)) is None


async def test_an_inserted_record_is_read_as_it_was_given(store: Store) -> None:
    record = make_record(version=1_425_144_345_123_456)
    assert await store.insert(record) is True
    assert await store.get(record.guid) == record


async def test_a_record_is_read_whether_it_is_expired_or_not(store: Store) -> None:
    record = make_record(expire=NOW - 1)
    await store.insert(record)
    assert await store.get(record.guid) == record


@pytest.mark.parametrize("expire", [NOW - 1, NOW, NOW + 1, LAST_EXPIRE])
async def test_an_insert_leaves_a_record_alone_expired_or_not(store: Store, expire: int) -> None:
    there = make_record(expire=expire)
    await store.insert(there)
    assert await store.insert(newer(there)) is False
    assert await store.get(there.guid) == there


async def test_a_replaced_record_leaves_nothing_behind(store: Store) -> None:
    await store.insert(make_record(user="Ann", expire=NOW))
    new = make_record(version=2, metadata='{"other":1}')
    await store.replace(new, 1)
    assert await store.get(new.guid) == new
    assert await store.page(Query(user="Ann"), NOW) == []


async def test_replace_writes_over_the_version_that_it_names(store: Store) -> None:
    there = make_record(version=7)
    await store.insert(there)
    new = newer(there, expire=NOW + 5)
    assert await store.replace(new, 7) is True
    assert await store.get(there.guid) == new


@pytest.mark.parametrize("version", [0, 6, 8])
async def test_replace_leaves_another_version_alone(store: Store, version: int) -> None:
    there = make_record(version=7)
    await store.insert(there)
    assert await store.replace(newer(there), version) is False
    assert await store.get(there.guid) == there


async def test_replace_creates_nothing(store: Store) -> None:
    record = make_record()
    assert await store.replace(record, 0) is False
    assert await store.replace(record, record.version) is False
    assert await store.get(record.guid) is None


async def test_replace_knows_no_expiry(store: Store) -> None:
    there = make_record(expire=NOW - 50)
    await store.insert(there)
    assert await store.replace(newer(there, expire=NOW + 50), there.version) is True


async def test_delete_takes_away_the_version_that_it_names(store: Store) -> None:
    there = make_record(version=7)
    await store.insert(there)
    assert await store.delete(there.guid, 7) is True
    assert await store.get(there.guid) is None
    assert await store.page(Query(), NOW) == []


@pytest.mark.parametrize("version", [0, 6, 8])
async def test_delete_leaves_another_version_alone(store: Store, version: int) -> None:
    there = make_record(version=7)
    await store.insert(there)
    assert await store.delete(there.guid, version) is False
    assert await store.get(there.guid) == there


async def test_delete_of_an_absent_record_is_false(store: Store) -> None:
    assert await store.delete(guid_of(1), 1) is False


async def test_a_deleted_guid_can_be_inserted_again(store: Store) -> None:
    record = make_record()
    await store.insert(record)
    await store.delete(record.guid, record.version)
    assert await store.insert(record) is True
    assert await store.get(record.guid) == record


async def test_writes_touch_no_other_guid(store: Store) -> None:
    others = [make_record(number) for number in (1, 3)]
    for record in others:
        await store.insert(record)
    own = make_record(2)
    await store.insert(own)
    await store.replace(newer(own), own.version)
    await store.delete(own.guid, own.version + 1)
    assert [await store.get(record.guid) for record in others] == others


@pytest.mark.parametrize("guid", ["0" * 32, "F" * 32, "00" * 15 + "0A", "41" * 16])
async def test_any_guid_is_a_key(store: Store, guid: str) -> None:
    record = make_record(int(guid, 16))
    assert await store.insert(record)
    found = await store.get(guid)
    assert found == record
    assert found.guid == guid


@pytest.mark.parametrize(
    "metadata",
    [
        "{}",
        '{ "user" : "Ann" }',
        '{"n":1.10,"big":123456789012345678901234567890,"e":1E+400}',
        '{"user":"\\u0000\\ud83d\\ude00","\\u0061":"\\/"}',
        '{"user":"Zoë 😀 \u2028 \u202e"}',
        '{"user":"line\\nbreak","quote":"\\"\'--; DROP TABLE record"}',
        json.dumps({"user": "Ann", "pad": "x" * (64 * 1024 - 100)}),
        json.dumps({"user": "Ann", "pad": "😀" * 16_000}, ensure_ascii=False),
    ],
    ids=["empty", "spaces", "numbers", "escapes", "unicode", "quotes", "64 KiB", "64 KiB emoji"],
)
async def test_metadata_is_kept_to_the_letter(store: Store, metadata: str) -> None:
    record = make_record(metadata=metadata)
    await store.insert(record)
    found = await store.get(record.guid)
    assert found is not None
    assert found.metadata == metadata


async def test_the_largest_instants_are_kept(store: Store) -> None:
    record = make_record(expire=LAST_EXPIRE, version=LAST_EXPIRE * 1_000_000)
    await store.insert(record)
    assert await store.get(record.guid) == record
    assert await store.delete(record.guid, record.version)


async def test_a_store_that_works_responds_to_a_ping(store: Store) -> None:
    await store.ping()


async def test_records_are_there_when_the_store_is_opened_again(opener: Opener) -> None:
    kept, gone, changed = (make_record(number) for number in range(3))
    async with opener() as store:
        for record in (kept, gone, changed):
            await store.insert(record)
        await store.delete(gone.guid, gone.version)
        await store.replace(newer(changed), changed.version)
    async with opener() as store:
        assert await store.get(kept.guid) == kept
        assert await store.get(gone.guid) is None
        assert await store.get(changed.guid) == newer(changed)
        assert await store.page(Query(), NOW) == [kept, newer(changed)]


async def test_a_store_on_a_server_returns_the_time_there(store: Store) -> None:
    now = await store.clock()
    assert now is None or now == pytest.approx(time.time(), abs=60)
