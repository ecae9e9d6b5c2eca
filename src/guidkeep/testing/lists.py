"""The promises of every store for many records: lists, and the deletion of expired records."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import pytest

from guidkeep.record import Query, Record
from guidkeep.registry import paging
from guidkeep.testing.records import NOW, guid_of, make_record, newer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guidkeep.stores import Store

USERS: list[object] = [
    "Ann",
    "Bob",
    "",
    "ann",
    "Ann\0",
    "Ann ",
    "😀",
    "Zoë",
    "Zoe\u0308",
    None,
    7,
    ["Ann"],
]
UNNAMED: list[object] = [None, 7, ["Ann"], {}]
NAMES = [user for user in USERS if isinstance(user, str)]
RECORDS = [
    make_record(number, user=USERS[number % len(USERS)], expire=NOW + number % 7 - 2)
    for number in range(60)
]


async def _fill(store: Store, records: Iterable[Record]) -> None:
    await asyncio.gather(*(store.insert(record) for record in records))


def listed(query: Query, now: int) -> list[Record]:
    """Returns the page that the contract demands."""
    found = [
        record
        for record in RECORDS
        if now < record.expire
        and (query.after is None or record.guid > query.after)
        and (query.user is None or record.user == query.user)
        and (query.expires_before is None or record.expire < query.expires_before)
    ]
    return sorted(found, key=lambda record: record.guid)[: query.limit]


async def test_a_page_of_an_empty_store_is_empty(store: Store) -> None:
    assert await store.page(Query(), NOW) == []


async def test_every_filter_alone_and_with_every_other_finds_the_records_of_the_contract(
    store: Store,
) -> None:
    await _fill(store, reversed(RECORDS))
    for limit, after, user, before in product(
        (1, 3, 1000), (None, 0, 17, 59), (None, "Ann", "", "Ann\0", "😀"), (None, NOW, NOW + 3)
    ):
        query = Query(limit, None if after is None else guid_of(after), user, before)
        assert await store.page(query, NOW) == listed(query, NOW), query


async def test_bounded_pages_of_any_query_lead_through_the_records_of_the_contract(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"FIRST": 2, "MOST": 3, "WINDOW": 7, "WINDOW_OF_A_USER": 4, "FEW": 9}
    for name, value in (small | {"FEW_OF_A_USER": 9}).items():
        monkeypatch.setattr(paging, name, value)
    await _fill(store, RECORDS)
    short = 0
    for limit, after, user, before in product(
        (1, 3, 100), (None, 17), (None, "Ann", "Ann\0"), (None, NOW, NOW + 2, NOW + 4)
    ):
        query = Query(limit, None if after is None else guid_of(after), user, before)
        wanted = listed(replace(query, limit=1000), NOW)
        walked: list[Record] = []
        page = await paging.read_page(store, query, NOW)
        while page.after is not None:
            assert page.after > (query.after or "")
            assert len(page.records) <= limit
            short += len(page.records) < limit
            walked += page.records
            query = replace(query, after=page.after)
            page = await paging.read_page(store, query, NOW)
        assert walked + page.records == wanted, query
    assert short


async def test_skip_counts_all_records_or_all_of_a_user(store: Store) -> None:
    await _fill(store, RECORDS)
    for after, user, count in product((None, 17, 59), (None, "Ann", "Ann\0"), (1, 2, 5, 60, 61)):
        query = Query(1, None if after is None else guid_of(after), user, expires_before=NOW)
        passed = [
            record.guid
            for record in RECORDS
            if record.guid > (query.after or "") and user in (None, record.user)
        ]
        found = await store.skip(query, count)
        assert found == (passed[count - 1] if len(passed) >= count else None), (query, count)


async def test_a_page_reaches_no_further_than_its_bounds(store: Store) -> None:
    await _fill(store, RECORDS)
    for user in (None, "Ann"):
        query = Query(1000, guid_of(5), user, until=guid_of(36))
        beyond = listed(replace(query, until=None), NOW)
        within = [record for record in beyond if record.guid <= guid_of(36)]
        assert await store.page(query, NOW) == within


@pytest.mark.parametrize("user", [None, "Ann"])
async def test_a_page_is_the_same_if_its_records_are_found_by_expire(
    store: Store, user: str | None
) -> None:
    await _fill(store, RECORDS)
    for limit, after in product((1, 3, 1000), (None, guid_of(17))):
        query = Query(limit, after, user, NOW + 3, by_expire=True)
        assert await store.page(query, NOW) == listed(query, NOW)


async def test_a_page_has_live_records_only_to_the_second(store: Store) -> None:
    await _fill(store, RECORDS)
    for now in (NOW - 3, NOW - 2, NOW, NOW + 3, NOW + 4, NOW + 5):
        assert await store.page(Query(1000), now) == listed(Query(1000), now), now


async def test_users_differ_by_every_byte(store: Store) -> None:
    await _fill(store, RECORDS)
    for user in NAMES:
        found = await store.page(Query(1000, user=user), NOW - 10)
        assert found == [record for record in RECORDS if record.user == user]
        assert len(found) == 5


async def test_a_user_that_is_no_string_is_kept_and_listed_under_no_name(store: Store) -> None:
    odd = [make_record(number, user=user) for number, user in enumerate(UNNAMED)]
    await _fill(store, odd)
    assert await store.page(Query(), NOW) == odd
    for name in ("None", "null", "7", '["Ann"]', ""):
        assert await store.page(Query(user=name), NOW) == []


async def test_a_record_is_listed_under_its_present_user_only(store: Store) -> None:
    record = make_record(user="Ann")
    await store.insert(record)
    await store.replace(newer(record, user="Bob"), record.version)
    assert await store.page(Query(user="Ann"), NOW) == []
    assert await store.page(Query(user="Bob"), NOW) == [newer(record, user="Bob")]


async def test_pages_walk_through_all_records_once_and_in_order(store: Store) -> None:
    records = [make_record(number * 0xABCDEF) for number in range(1, 251)]
    await _fill(store, reversed(records))
    walked: list[Record] = []
    while page := await store.page(Query(40, walked[-1].guid if walked else None), NOW):
        walked += page
    assert walked == records


async def test_a_page_holds_a_thousand_records_of_64_kib(store: Store) -> None:
    text = '{"user":"Ann","pad":"%s"}' % ("x" * 65_000)
    await _fill(store, [make_record(number, metadata=text) for number in range(1000)])
    page = await store.page(Query(1000), NOW)
    assert [record.guid for record in page] == [guid_of(number) for number in range(1000)]
    assert all(record.metadata == text for record in page)


@pytest.mark.parametrize("now", [NOW - 2, NOW - 1, NOW, NOW + 4, NOW + 5])
async def test_a_purge_deletes_expired_records_only(store: Store, now: int) -> None:
    await _fill(store, RECORDS)
    expired = [record for record in RECORDS if record.expire <= now]
    assert await store.purge(now, 1000) == len(expired)
    left = [record for record in RECORDS if record.expire > now]
    assert await store.page(Query(1000), NOW - 1000) == left
    assert await store.purge(now, 1000) == 0


async def test_a_purge_deletes_no_more_than_its_limit(store: Store) -> None:
    await _fill(store, [make_record(number, expire=NOW) for number in range(10)])
    await store.insert(make_record(10))
    assert [await store.purge(NOW, 4) for _ in range(4)] == [4, 4, 2, 0]
    assert await store.page(Query(), NOW - 1) == [make_record(10)]


async def test_a_record_that_is_prolonged_while_a_purge_runs_is_not_lost(store: Store) -> None:
    """The second must see the first: the record is prolonged and exists, or is purged and gone."""
    for number in range(50):
        old = make_record(number, expire=NOW)
        await store.insert(old)
        new = newer(old, expire=NOW + 100)
        prolonged, swept = await asyncio.gather(
            store.replace(new, old.version), store.purge(NOW, 10)
        )
        assert (prolonged, swept) in ((True, 0), (False, 1))
        assert await store.get(old.guid) == (new if prolonged else None)
        if prolonged:
            await store.delete(new.guid, new.version)
