"""Batches in SQLite: writes share a commit, and a write that fails fails alone."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.errors import StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.record import Query
from guidkeep.stores.sqlite.store import BATCH_LIMIT, SQLiteStore
from tests.stores.records import NOW, batches_of, guid_of, make_record, newer, plant
from tests.support import outcomes

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from guidkeep.testing.opening import Opener

REFUSED = "refused"
TRIGGER = f"""
CREATE TRIGGER planted_{{event}} BEFORE {{event}} ON record
WHEN {{row}}.user = CAST('{REFUSED}' AS BLOB)
BEGIN SELECT RAISE(ABORT, 'planted'); END
"""


@pytest.mark.parametrize(
    ("writes", "batches"),
    [(1, 1), (2, 1), (500, 1), (BATCH_LIMIT, 1), (BATCH_LIMIT + 1, 2), (3000, 3)],
)
async def test_writes_that_come_at_once_share_commits(
    opener: Opener, writes: int, batches: int
) -> None:
    metrics = Metrics()
    async with opener(metrics=metrics) as store:
        records = [make_record(number) for number in range(writes)]
        assert all(await asyncio.gather(*(store.insert(record) for record in records)))
        assert batches_of(metrics) == (batches, writes)


async def test_a_batch_costs_few_calls_however_many_writes_it_has(opener: Opener) -> None:
    """Counts calls of the system that look for the file, and calls of SQLite.

    No other test would notice an extra call, but all writes would wait for it.
    """
    calls: Counter[str] = Counter()

    def count(_: FrameType, event: str, function: Any) -> None:
        is_outside = getattr(function, "__module__", None) == "posix" or isinstance(
            getattr(function, "__self__", None), sqlite3.Connection
        )
        is_writer = threading.current_thread().name.startswith("guidkeep-writer")
        if event == "c_call" and is_outside and is_writer:
            calls[function.__name__] += 1

    metrics = Metrics()
    threading.setprofile(count)  # for threads that start later
    try:
        async with opener(metrics=metrics) as store:
            await store.insert(make_record())
            calls.clear()
            records = [make_record(number) for number in range(1, 501)]
            await asyncio.gather(*(store.insert(record) for record in records))
            batches = batches_of(metrics)[0] - 1
            assert calls == {"lstat": 4 * batches, "execute": 4 * batches}
    finally:
        threading.setprofile(None)


async def test_reads_that_come_at_once_share_a_statement(opener: Opener) -> None:
    metrics = Metrics()
    async with opener(metrics=metrics) as store:
        await asyncio.gather(*(store.get(guid_of(number)) for number in range(500)))
        assert batches_of(metrics, "read") == (1, 500)


async def test_a_commit_is_on_the_disk_before_it_is_answered(opener: Opener) -> None:
    """The level that SQLite calls FULL: each commit flushes the log."""
    async with opener() as store:
        assert isinstance(store, SQLiteStore)
        asked = {
            pragma: store._writer.execute(f"PRAGMA {pragma}").fetchone()[0]
            for pragma in ("synchronous", "journal_mode", "fullfsync", "checkpoint_fullfsync")
        }
    assert asked == {
        "synchronous": 2,
        "journal_mode": "wal",
        "fullfsync": 1,
        "checkpoint_fullfsync": 1,
    }


@pytest.mark.parametrize("refused", [[0], [7, 8, 9], [0, 50, 99], list(range(100))])
async def test_inserts_that_are_refused_fail_alone_and_their_neighbours_commit(
    opener: Opener, file: Path, refused: list[int]
) -> None:
    metrics = Metrics()
    async with opener(metrics=metrics) as store:
        plant(file, TRIGGER.format(event="INSERT", row="NEW"))
        records = [
            make_record(number, user=REFUSED if number in refused else "Ann")
            for number in range(100)
        ]
        done = await outcomes(*(store.insert(record) for record in records))
        assert batches_of(metrics) == (1, 100)
    for number, outcome in enumerate(done):
        if number in refused:
            assert type(outcome) is StoreUnavailable
            assert "nothing was written" in outcome.detail
        else:
            assert outcome is True
    async with opener() as store:
        kept = [record for record in records if record.user != REFUSED]
        assert await store.page(Query(1000), NOW) == kept


async def test_of_a_mixed_batch_only_what_is_refused_fails(opener: Opener, file: Path) -> None:
    async with opener() as store:
        stays, goes, changes = (
            make_record(number, user=user) for number, user in enumerate([REFUSED, "Ann", "Ann"])
        )
        for record in (stays, goes, changes, make_record(9, expire=NOW - 5)):
            await store.insert(record)
        plant(file, TRIGGER.format(event="DELETE", row="OLD"))
        refusal, *others = await outcomes(
            store.delete(stays.guid, stays.version),
            store.delete(goes.guid, goes.version),
            store.replace(newer(changes), changes.version),
            store.purge(NOW, 10),
            store.insert(make_record(5)),
        )
        assert type(refusal) is StoreUnavailable
        assert others == [True, True, 1, True]
        assert await store.page(Query(), NOW - 100) == [stays, newer(changes), make_record(5)]


async def test_a_refused_write_undoes_no_write_of_the_same_guid_before_it(
    opener: Opener, file: Path
) -> None:
    async with opener() as store:
        plant(file, TRIGGER.format(event="INSERT", row="NEW"))
        first = make_record(1)
        done = await outcomes(
            store.insert(first),
            store.replace(newer(first, user=REFUSED), first.version),
        )
        assert done[0] is True
        assert isinstance(done[1], StoreUnavailable)
        assert await store.get(first.guid) == first


async def test_a_commit_that_is_refused_leaves_nothing_behind(opener: Opener, file: Path) -> None:
    """A foreign key that is checked at the commit, after all statements have succeeded."""
    async with opener() as store:
        assert isinstance(store, SQLiteStore)
        plant(
            file,
            "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
            "CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER planted AFTER INSERT ON record "
            f"WHEN NEW.user = CAST('{REFUSED}' AS BLOB) BEGIN INSERT INTO child VALUES (1); END",
        )
        store._writer.execute("PRAGMA foreign_keys = true")
        done = await outcomes(
            store.insert(make_record(1)),
            store.insert(make_record(2, user=REFUSED)),
            store.insert(make_record(3)),
        )
        assert [done[0], done[2]] == [True, True]
        assert type(done[1]) is StoreUnavailable
        assert await store.page(Query(), NOW) == [make_record(1), make_record(3)]
