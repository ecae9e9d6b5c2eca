"""Copies and comparisons of stores in memory, step by step."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.stores import copy
from guidkeep.stores.copy import Difference, Tally
from guidkeep.system.backoff import Backoff
from tests.registry.memory_store import MemoryStore
from tests.stores.records import NOW, guid_of, make_record, newer
from tests.support import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from guidkeep.record import Query, Record

LATER = NOW + 100


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few records make several pages, and pauses are short."""
    monkeypatch.setattr(copy, "PAGE", 3)
    monkeypatch.setattr(copy, "RETRIES", 2)
    monkeypatch.setattr(copy, "BACKOFF", Backoff(0.0, 0.0))


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def holding(records: Iterable[Record]) -> MemoryStore:
    store = MemoryStore()
    store.records = {record.guid: record for record in records}
    return store


def ignore(share: float, records: int) -> None:
    pass


async def copied(
    source: MemoryStore, target: MemoryStore, clock: Clock, *, delete: bool = False
) -> Tally:
    return await copy.copy(source, target, clock=clock, watch=ignore, delete=delete)


async def compared(
    source: MemoryStore, target: MemoryStore, clock: Clock
) -> tuple[int, list[tuple[str, Difference]]]:
    """Returns the number of equal records, and the differences."""
    found: list[tuple[str, Difference]] = []
    equal = await copy.compare(
        source,
        target,
        clock=clock,
        watch=ignore,
        differs=lambda guid, difference: found.append((guid, difference)),
    )
    return equal, found


@pytest.mark.parametrize("many", [0, 1, 2, 3, 4, 6, 7, 20])
async def test_all_live_records_arrive_as_they_are(clock: Clock, many: int) -> None:
    records = [make_record(number, version=number + 1) for number in range(many)]
    source, target = holding(records), MemoryStore()
    assert await copied(source, target, clock) == Tally(created=many)
    assert target.records == source.records
    assert await compared(source, target, clock) == (many, [])


async def test_what_has_expired_is_not_copied(clock: Clock) -> None:
    source = holding([make_record(1, expire=NOW), make_record(2), make_record(3, expire=NOW - 1)])
    target = MemoryStore()
    assert await copied(source, target, clock) == Tally(created=1)
    assert list(target.records) == [guid_of(2)]
    assert await compared(source, target, clock) == (1, [])


async def test_a_copy_done_again_writes_nothing(clock: Clock) -> None:
    source, target = holding(map(make_record, range(10))), MemoryStore()
    await copied(source, target, clock)
    target.records = {guid: replace(record) for guid, record in target.records.items()}
    before = {guid: id(record) for guid, record in target.records.items()}
    assert await copied(source, target, clock) == Tally(equal=10)
    assert {guid: id(record) for guid, record in target.records.items()} == before


async def test_a_copy_done_again_brings_what_changed(clock: Clock) -> None:
    source, target = holding(map(make_record, range(10))), MemoryStore()
    await copied(source, target, clock)
    source.records[guid_of(3)] = newer(source.records[guid_of(3)])
    source.records[guid_of(40)] = make_record(40)
    del source.records[guid_of(5)]
    assert await compared(source, target, clock) == (
        8,
        [
            (guid_of(3), Difference.OLDER),
            (guid_of(5), Difference.EXTRA),
            (guid_of(40), Difference.MISSING),
        ],
    )
    assert await copied(source, target, clock) == Tally(created=1, updated=1, equal=8)
    assert await compared(source, target, clock) == (10, [(guid_of(5), Difference.EXTRA)])
    assert await copied(source, target, clock, delete=True) == Tally(deleted=1, equal=10)
    assert target.records == source.records


async def test_what_is_newer_in_the_target_stays(clock: Clock) -> None:
    source = holding([make_record(1), make_record(2, version=5)])
    theirs = [newer(make_record(1)), make_record(2, user="Eve", version=5)]
    target = holding(theirs)
    assert await copied(source, target, clock, delete=True) == Tally(left=2)
    assert list(target.records.values()) == theirs
    assert await compared(source, target, clock) == (
        0,
        [(guid_of(1), Difference.NEWER), (guid_of(2), Difference.OTHER)],
    )


async def test_an_expired_record_of_the_target_gives_way_unless_it_is_newer(clock: Clock) -> None:
    source = holding([make_record(1, version=5), make_record(2, version=5)])
    target = holding([make_record(1, version=4, expire=NOW), make_record(2, version=6, expire=NOW)])
    assert await copied(source, target, clock) == Tally(updated=1, left=1)
    assert target.records[guid_of(1)] == source.records[guid_of(1)]
    assert target.records[guid_of(2)].version == 6


class Passing(MemoryStore):
    """Time passes with each page."""

    def __init__(self, clock: Clock, records: Iterable[Record]) -> None:
        super().__init__()
        self.records = {record.guid: record for record in records}
        self._clock = clock

    async def page(self, query: Query, now: int) -> list[Record]:
        page = await super().page(query, now)
        self._clock.advance(1)
        return page


async def test_what_expires_meanwhile_is_no_difference(clock: Clock) -> None:
    records = [make_record(number, expire=NOW + 1 + number % 7) for number in range(30)]
    source, target = Passing(clock, records), Passing(clock, records)
    _, differences = await compared(source, target, clock)
    assert differences == []
    assert clock.now > NOW + 7


class Meddled(MemoryStore):
    """Other clients write to it just before the copy does."""

    def __init__(self, meddle: Callable[[Meddled], None]) -> None:
        super().__init__()
        self._meddle = meddle

    async def insert(self, record: Record) -> bool:
        self._meddle(self)
        return await super().insert(record)

    async def replace(self, record: Record, version: int) -> bool:
        self._meddle(self)
        return await super().replace(record, version)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    ("meanwhile", "tally"),
    [(3, Tally(updated=1)), (5, Tally(equal=1)), (7, Tally(left=1))],
)
async def test_writes_to_the_target_meanwhile_are_seen(
    clock: Clock, there: bool, meanwhile: int, tally: Tally
) -> None:
    """The source's version is 5."""
    written: list[Record] = [make_record(1, version=meanwhile)]
    target = Meddled(
        lambda store: store.records.update({guid_of(1): written.pop()}) if written else None
    )
    if there:
        target.records[guid_of(1)] = make_record(1, version=2)
    assert await copied(holding([make_record(1, version=5)]), target, clock) == tally
    assert target.records[guid_of(1)].version == max(5, meanwhile)


async def test_a_deletion_in_the_target_meanwhile_is_undone(clock: Clock) -> None:
    """The copy read an older version of the record; if the record is gone, none is newer."""
    target = Meddled(lambda store: store.records.clear())
    target.records[guid_of(1)] = make_record(1, version=2)
    assert await copied(holding([make_record(1, version=5)]), target, clock) == Tally(created=1)


class Changing(MemoryStore):
    """Other clients update a record just before the copy deletes it."""

    async def delete(self, guid: str, version: int) -> bool:
        self.records[guid] = newer(self.records[guid])
        return await super().delete(guid, version)


async def test_what_is_updated_before_it_is_deleted_stays(clock: Clock) -> None:
    target = Changing()
    target.records[guid_of(1)] = make_record(1)
    assert await copied(MemoryStore(), target, clock, delete=True) == Tally()
    assert target.records[guid_of(1)].version == 2


class Failing(MemoryStore):
    """Fails `times` times, after the write if the outcome is to be in doubt."""

    def __init__(self, times: int, error: type[StoreUnavailable] = StoreUnavailable) -> None:
        super().__init__()
        self.times = times
        self._error = error

    async def insert(self, record: Record) -> bool:
        if self._error is OutcomeUnknown and self.times:
            await super().insert(record)
        self._fail()
        return await super().insert(record)

    async def page(self, query: Query, now: int) -> list[Record]:
        self._fail()
        return await super().page(query, now)

    def _fail(self) -> None:
        if self.times:
            self.times -= 1
            raise self._error("Not now.")


async def test_a_store_that_fails_for_a_moment_is_asked_again(clock: Clock) -> None:
    target = Failing(2)
    assert await copied(holding([make_record(1)]), target, clock) == Tally(created=1)


class FailingLate(Failing):
    """Only its pages can be read."""

    async def page(self, query: Query, now: int) -> list[Record]:
        return await MemoryStore.page(self, query, now)


async def test_a_write_of_unknown_outcome_is_found_out(clock: Clock) -> None:
    source, target = holding([make_record(1)]), FailingLate(1, OutcomeUnknown)
    assert await copied(source, target, clock) == Tally(equal=1)
    assert target.records == source.records


async def test_a_copy_that_was_cut_off_goes_on(clock: Clock) -> None:
    source, target = holding(map(make_record, range(20))), FailingLate(0)
    passed: list[float] = []

    def cut_off(share: float, records: int) -> None:
        passed.append(share)
        target.times = 10**9 if records >= 6 else 0

    with pytest.raises(StoreUnavailable):
        await copy.copy(source, target, clock=clock, watch=cut_off)
    assert 6 <= len(target.records) < 20
    target.times = 0
    arrived = len(target.records)
    assert await copied(source, target, clock) == Tally(created=20 - arrived, equal=arrived)
    assert target.records == source.records


async def test_a_source_that_can_not_be_read_ends_it_and_leaves_no_task(clock: Clock) -> None:
    source = Failing(10**9)
    with pytest.raises(StoreUnavailable):
        await copied(source, MemoryStore(), clock)
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Stuck(MemoryStore):
    """Can't store record 1; calls after the first page never end."""

    async def insert(self, record: Record) -> bool:
        if record.guid == guid_of(1):
            raise StoreUnavailable("Not now.")
        return await asyncio.Event().wait()

    async def page(self, query: Query, now: int) -> list[Record]:
        if query.after:
            await asyncio.Event().wait()
        return await super().page(query, now)


@pytest.mark.parametrize("many", [2, 20])  # in the second case there are more records to read
async def test_when_it_is_given_up_nothing_goes_on(clock: Clock, many: int) -> None:
    source, target = Stuck(), Stuck()
    source.records = {guid_of(number): make_record(number) for number in range(many)}
    with pytest.raises(StoreUnavailable, match="Not now"):
        await copied(source, target, clock)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_progress_rises_to_all_of_it(clock: Clock) -> None:
    spread = [replace(make_record(1), guid=f"{number:X}{'0' * 31}") for number in range(16)]
    source, target = holding(spread), holding(spread[:8])
    for work in (
        lambda watch: copy.copy(source, target, clock=clock, watch=watch),
        lambda watch: copy.compare(
            source, target, clock=clock, watch=watch, differs=lambda *_: None
        ),
    ):
        progress: list[tuple[float, int]] = []
        await work(lambda share, records, progress=progress: progress.append((share, records)))
        assert progress == sorted(progress)
        assert progress[0] == (2 / 16, 3)
        assert progress[-1] == (1.0, 16)


def stores() -> st.SearchStrategy[dict[str, Record]]:
    """Stores with few GUIDs, in few versions, some of them expired."""
    record = st.builds(
        make_record,
        st.integers(0, 12),
        user=st.sampled_from(["Ann", "Bob"]),
        expire=st.sampled_from([NOW, LATER]),
        version=st.integers(1, 3),
    )
    return st.lists(record, max_size=12).map(
        lambda records: {record.guid: record for record in records}
    )


@given(stores(), stores(), st.booleans())
def test_whatever_was_there_the_target_is_up_to_date_after(
    ours: dict[str, Record], theirs: dict[str, Record], delete: bool
) -> None:
    source, target = holding(ours.values()), holding(theirs.values())

    def wanted(guid: str) -> Record | None:
        mine, its = ours.get(guid), theirs.get(guid)
        if mine is None or not mine.is_live(NOW):
            return None if delete and its is not None and its.is_live(NOW) else its
        return mine if its is None or its.version < mine.version else its

    async def run() -> None:
        await copied(source, target, Clock(NOW), delete=delete)
        for guid in {**ours, **theirs}:
            assert target.records.get(guid) == wanted(guid)
        equal, differences = await compared(source, target, Clock(NOW))
        live = {guid for guid, record in {**target.records}.items() if record.is_live(NOW)}
        live |= {guid for guid, record in ours.items() if record.is_live(NOW)}
        assert equal + len(differences) == len(live)
        if not theirs:
            assert differences == []

    asyncio.run(run())
