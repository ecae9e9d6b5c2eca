"""The promises of every store for counting records by their expire."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import TYPE_CHECKING

import pytest

from guidkeep.record import LAST_EXPIRE
from guidkeep.testing.records import NOW, make_record, newer

if TYPE_CHECKING:
    from guidkeep.stores import Store

EXPIRES = [NOW - 5, NOW, NOW, NOW + 1, NOW + 1, NOW + 1, NOW + 7, NOW + 90_000, LAST_EXPIRE]

FIRSTS = (0, NOW - 5, NOW - 4, NOW, NOW + 1, NOW + 2, LAST_EXPIRE)
BEFORES = (NOW - 5, NOW, NOW + 1, NOW + 8, LAST_EXPIRE, LAST_EXPIRE + 1)


async def _fill(store: Store) -> None:
    records = [make_record(number, expire=expire) for number, expire in enumerate(EXPIRES)]
    await asyncio.gather(*(store.insert(record) for record in records))


def _expected(first: int, before: int) -> int:
    return sum(first <= expire < before for expire in EXPIRES)


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
async def test_an_empty_store_is_counted_in_one_step(store: Store, limit: int) -> None:
    assert await store.count(0, LAST_EXPIRE + 1, limit) == (0, LAST_EXPIRE + 1)


async def test_a_large_step_counts_them_all_to_the_second(store: Store) -> None:
    await _fill(store)
    for first, before in product(FIRSTS, BEFORES):
        counted = await store.count(first, before, 1000)
        assert counted == (_expected(first, before), before), (first, before)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 8, 9, 10])
async def test_steps_of_any_size_come_to_the_end_and_to_the_sum(store: Store, limit: int) -> None:
    await _fill(store)
    first, end, found, steps = NOW - 10, LAST_EXPIRE + 1, 0, 0
    while first < end:
        counted = await store.count(first, end, limit)
        assert first < counted.until <= end
        assert counted.records == _expected(first, counted.until)
        first, found, steps = counted.until, found + counted.records, steps + 1
    assert found == len(EXPIRES)
    assert steps <= len(set(EXPIRES)) + 1


async def test_a_step_counts_no_more_than_its_limit_unless_more_expire_in_one_second(
    store: Store,
) -> None:
    await _fill(store)
    assert await store.count(NOW - 5, LAST_EXPIRE + 1, 3) == (3, NOW + 1)
    assert await store.count(NOW - 5, LAST_EXPIRE + 1, 4) == (3, NOW + 1)
    assert await store.count(NOW + 1, LAST_EXPIRE + 1, 2) == (3, NOW + 2)


async def test_changed_and_deleted_records_count_as_they_are_now(store: Store) -> None:
    moved, gone = make_record(1, expire=NOW), make_record(2, expire=NOW)
    for record in (moved, gone):
        await store.insert(record)
    await store.replace(newer(moved, expire=NOW + 50), moved.version)
    await store.delete(gone.guid, gone.version)
    assert await store.count(NOW, NOW + 50, 10) == (0, NOW + 50)
    assert await store.count(NOW + 50, NOW + 51, 10) == (1, NOW + 51)
