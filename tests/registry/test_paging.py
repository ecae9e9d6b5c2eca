"""Pages are read in slices and windows, whose sizes follow from the ones before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.record import Query
from guidkeep.registry.paging import FIRST, MAX_PAGE, MOST, SLICE, read_page
from tests.registry.memory_store import MemoryStore
from tests.stores.records import NOW, make_record

if TYPE_CHECKING:
    from guidkeep.record import Record

LARGE = 10_000


class Noting(MemoryStore):
    """A store that records the sizes of slices and windows."""

    def __init__(self, *records: Record) -> None:
        super().__init__()
        self.records = {record.guid: record for record in records}
        self.asked: list[int] = []
        self.windows: list[int] = []

    async def page(self, query: Query, now: int) -> list[Record]:
        self.asked.append(query.limit)
        return await super().page(query, now)

    async def skip(self, query: Query, count: int) -> str | None:
        self.windows.append(count)
        return await super().skip(query, count)


async def test_small_records_are_read_many_at_a_time() -> None:
    store = Noting(*(make_record(number) for number in range(1000)))
    page = await read_page(store, Query(limit=600), NOW)
    assert len(page.records) == 600
    assert store.asked == [FIRST, MOST, MOST, 601 - FIRST - 2 * MOST]
    assert store.windows == [2 * asked for asked in store.asked]


async def test_large_records_are_read_few_at_a_time_and_end_the_page() -> None:
    store = Noting(*(make_record(number, user="x" * LARGE) for number in range(200)))
    page = await read_page(store, Query(limit=150), NOW)
    assert MAX_PAGE - LARGE - 100 < sum(record.size for record in page.records) <= MAX_PAGE
    first, *others = store.asked
    assert first == FIRST
    assert {SLICE // LARGE - 1, SLICE // LARGE} >= set(others)


async def test_a_window_is_twice_as_long_as_the_one_before_shows_that_it_must_be() -> None:
    """One record in ten matches."""
    records = (make_record(number, expire=NOW + 10 * (number % 10)) for number in range(2000))
    store = Noting(*records)
    page = await read_page(store, Query(limit=20), NOW + 80)
    assert len(page.records) == 20
    first, *others = store.windows
    assert first == 2 * FIRST, "in which one matches"
    assert others == [2 * asked * first for asked in store.asked[1:]]
