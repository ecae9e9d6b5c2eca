"""Real faults under a running SQLite store: it reports an error and loses nothing."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.record import Query
from guidkeep.stores.sqlite import lists
from guidkeep.stores.sqlite.store import SQLiteStore
from tests.stores.records import NOW, PAGE, batches_of, cut_off, guid_of, make_record, newer, plant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guidkeep.stores import Store
    from guidkeep.testing.opening import Opener

ENDLESS = (
    "(WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) "
    "SELECT max(n) FROM endless)"
)


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Limits the size of this process' files, like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def fill(store: Store, count: int) -> None:
    text = '{"user":"Ann","pad":"%s"}' % ("x" * 500)
    records = [make_record(number, metadata=text) for number in range(count)]
    assert all(await asyncio.gather(*(store.insert(record) for record in records)))


@pytest.mark.waits
async def test_a_database_that_another_program_holds_is_503_and_nothing_was_written(
    opener: Opener, file: Path
) -> None:
    async with opener(timeout=0.5) as store:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            done = await asyncio.gather(
                *(store.insert(make_record(number)) for number in range(3)),
                return_exceptions=True,
            )
            assert [type(error) for error in done] == [StoreUnavailable] * 3
            assert "nothing was written" in str(done[0])
            assert await store.get(guid_of(0)) is None, "reads go on"
            other.execute("COMMIT")
        assert await store.page(Query(), NOW) == []
        assert await store.insert(make_record())


@pytest.mark.waits
async def test_a_failure_for_all_is_not_tried_again_one_by_one(opener: Opener, file: Path) -> None:
    metrics = Metrics()
    async with opener(timeout=1.0, metrics=metrics) as store:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            done = await asyncio.gather(
                *(store.insert(make_record(number)) for number in range(200)),
                return_exceptions=True,
            )
        assert {type(error) for error in done} == {StoreUnavailable}
        assert batches_of(metrics) == (1, 200)


async def test_a_disk_that_fills_up_is_503_and_nothing_that_was_answered_is_lost(
    opener: Opener, file: Path
) -> None:
    """The outcome of the failed commit is in doubt: its page may be on the disk."""
    log = file.with_name(f"{file.name}-wal")
    async with opener() as store:
        await fill(store, 200)
        there = await store.page(Query(1000), NOW)
        with files_end_at(log.stat().st_size):
            with pytest.raises(OutcomeUnknown, match="unknown"):
                await store.insert(make_record(900))
            with pytest.raises(StoreUnavailable):
                await store.replace(newer(there[0]), there[0].version)
            with pytest.raises(StoreUnavailable):
                await store.delete(there[1].guid, there[1].version)
            assert await store.page(Query(1000), NOW) == there
        assert await store.insert(make_record(901))
    async with opener() as store:
        assert await store.page(Query(1000), NOW) == [*there, make_record(901)]


async def test_a_database_that_may_not_grow_takes_the_writes_that_still_fit(
    opener: Opener,
) -> None:
    async with opener() as store:
        assert isinstance(store, SQLiteStore)
        await fill(store, 20)
        [pages] = store._writer.execute("PRAGMA page_count").fetchone()
        store._writer.execute(f"PRAGMA max_page_count = {pages + 1}")
        large = make_record(800, metadata='{"pad":"%s"}' % ("x" * 50_000))
        done = await asyncio.gather(
            store.insert(large),
            store.insert(make_record(900)),
            return_exceptions=True,
        )
        assert type(done[0]) is StoreUnavailable
        assert "nothing was written" in str(done[0])
        assert done[1] is True
        store._writer.execute("PRAGMA max_page_count = 1000000")
        assert await store.insert(large)


def damage_leaves(file: Path) -> None:
    """Overwrites a page in the middle with rows of the table, found by its first byte."""
    content = bytearray(file.read_bytes())
    pages = range(PAGE, len(content), PAGE)
    leaves = [at for at in pages if b'{"user":"Ann"' in content[at : at + PAGE]]
    at = leaves[len(leaves) // 2]
    content[at : at + PAGE] = b"\xff" * PAGE
    file.write_bytes(content)


@pytest.fixture
async def damaged(opener: Opener, file: Path) -> None:
    async with opener() as store:
        await fill(store, 300)
    damage_leaves(file)


async def broken_guids(store: Store) -> set[str]:
    broken = set()
    for number in range(300):
        try:
            assert await store.get(guid_of(number)) is not None
        except StoreUnavailable:
            broken.add(guid_of(number))
    return broken


async def test_a_damaged_page_is_503_for_its_records_and_the_others_are_served(
    damaged: None, opener: Opener
) -> None:
    async with opener() as store:
        broken = await broken_guids(store)
        assert 0 < len(broken) < 50
        with pytest.raises(StoreUnavailable, match="can't be read"):
            await store.page(Query(1000), NOW)
        for guid in broken:
            with pytest.raises(StoreUnavailable, match="nothing was written"):
                await store.delete(guid, 1)
        good = [guid_of(number) for number in range(300) if guid_of(number) not in broken]
        assert await store.delete(good[0], 1)
        assert await store.get(good[1]) is not None
        await store.ping()


async def test_operations_on_a_damaged_page_spoil_none_of_their_batch(
    damaged: None, opener: Opener
) -> None:
    async with opener() as store:
        broken = await broken_guids(store)
        read = await asyncio.gather(
            *(store.get(guid_of(number)) for number in range(300)), return_exceptions=True
        )
        unread = {guid_of(at) for at, found in enumerate(read) if isinstance(found, Exception)}
        assert unread == broken
        written = await asyncio.gather(
            *(store.delete(guid_of(number), 1) for number in range(300)), return_exceptions=True
        )
        kept = {guid_of(at) for at, done in enumerate(written) if done is not True}
        # Emptied pages are merged with their neighbours, so a few of these may fail too.
        assert broken <= kept
        assert len(kept) < len(broken) + 60


async def test_a_file_that_is_cut_off_while_it_is_served_is_503_and_never_a_crash(
    opener: Opener, file: Path
) -> None:
    async with opener() as store:
        await fill(store, 300)
    async with opener() as store:
        cut_off(file, pages=20)
        results = await asyncio.gather(
            *(store.get(guid_of(number)) for number in range(300)),
            store.page(Query(1000), NOW),
            store.insert(make_record(900)),
            return_exceptions=True,
        )
    failures = [result for result in results if isinstance(result, Exception)]
    assert failures
    assert {type(failure) for failure in failures} <= {StoreUnavailable, OutcomeUnknown}


@pytest.mark.waits
async def test_a_write_that_takes_too_long_is_interrupted_and_its_outcome_is_unknown(
    opener: Opener, file: Path
) -> None:
    async with opener(timeout=0.5) as store:
        plant(
            file,
            "CREATE TRIGGER slow AFTER INSERT ON record WHEN NEW.user = CAST('slow' AS BLOB) "
            f"BEGIN SELECT {ENDLESS}; END",
        )
        late = asyncio.ensure_future(store.insert(make_record(1, user="slow")))
        with pytest.raises(OutcomeUnknown, match=r"within 0\.5 s.*unknown") as caught:
            await late
        assert caught.value.settled is not None
        await asyncio.wait([caught.value.settled])
        assert await store.get(guid_of(1)) is None
        assert await store.insert(make_record(2))


@pytest.mark.waits
async def test_reads_that_take_too_long_are_interrupted(opener: Opener, file: Path) -> None:
    """A list delays neither reads nor writes."""
    async with opener(timeout=0.5) as store:
        await store.insert(make_record())
        plant(
            file,
            "ALTER TABLE record RENAME TO kept",
            f"CREATE VIEW record AS SELECT * FROM kept WHERE {ENDLESS} IS NOT NULL",
        )
        with pytest.raises(StoreUnavailable, match=r"did not respond within 0\.5 s"):
            await store.get(guid_of(1))
        with pytest.raises(StoreUnavailable, match=r"did not respond within 0\.5 s"):
            await store.page(Query(), NOW)
        with pytest.raises(StoreUnavailable, match=r"did not respond within 0\.5 s"):
            await store.ping()
        plant(file, "DROP VIEW record", "ALTER TABLE kept RENAME TO record")
        assert await store.get(guid_of(1)) == make_record()
        assert await store.page(Query(), NOW) == [make_record()]


async def test_a_long_list_holds_up_neither_reads_nor_writes(opener: Opener, file: Path) -> None:
    async with opener(timeout=30) as store:
        assert isinstance(store, SQLiteStore)
        await store.insert(make_record())
        for statement in (
            "PRAGMA query_only = false",
            f"CREATE TEMP VIEW record AS SELECT * FROM main.record WHERE {ENDLESS} IS NOT NULL",
        ):
            store._lister.execute(statement)
        listing = asyncio.ensure_future(store.page(Query(), NOW))
        assert await store.get(guid_of(1)) == make_record()
        assert await store.insert(make_record(2))
        assert not listing.done()
        while not listing.done():  # it may not have begun
            store._lister.interrupt()
            await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable):
            await listing


async def test_a_page_that_is_too_long_for_one_value_is_read_all_the_same(
    opener: Opener, file: Path
) -> None:
    """A value of SQLite has at most a billion bytes; here fewer."""
    records = [make_record(number, metadata='{"t":"%s"}' % ("x" * 900)) for number in range(20)]
    async with opener() as store:
        assert isinstance(store, SQLiteStore)
        for record in records:
            await store.insert(record)
        store._lister.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
        assert await store.page(Query(), NOW) == records


async def test_a_rollback_that_fails_is_survived(opener: Opener, file: Path) -> None:
    """SQLite's own authorizer refuses the statements."""
    refused = {"COMMIT", "ROLLBACK"}

    def authorize(action: int, word: str | None, *_: object) -> int:
        is_refused = action == sqlite3.SQLITE_TRANSACTION and word in refused
        return sqlite3.SQLITE_DENY if is_refused else sqlite3.SQLITE_OK

    async with opener() as store:
        assert isinstance(store, SQLiteStore)
        store._writer.set_authorizer(authorize)
        with pytest.raises(StoreUnavailable):
            await store.insert(make_record(1))
        refused.clear()
        store._writer.set_authorizer(authorize)
        with pytest.raises(StoreUnavailable):
            await store.insert(make_record(1))
        assert await store.insert(make_record(2))
        assert await store.page(Query(), NOW) == [make_record(2)]


async def test_records_that_can_not_be_counted_are_503_and_hold_up_nothing(
    opener: Opener, file: Path
) -> None:
    async with opener() as store:
        await store.insert(make_record())
        plant(file, "DROP INDEX record_by_expire")
        with pytest.raises(StoreUnavailable):
            await store.count(0, NOW + 1000, 10)
        assert await store.get(guid_of(1)) == make_record()
        assert await store.page(Query(), NOW) == [make_record()]


@pytest.mark.waits
async def test_a_count_that_takes_too_long_is_interrupted(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_COUNT", f"SELECT {ENDLESS}")
    async with opener(timeout=0.5) as store:
        with pytest.raises(StoreUnavailable, match="did not respond"):
            await store.count(0, NOW + 1000, 10)
        assert await store.insert(make_record())
