"""The claim on SQLite's file while it is served: the changes it notices, the records it saves."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.stores import open_store
from guidkeep.stores.sqlite.claim import Fault
from guidkeep.stores.sqlite.store import SQLiteStore
from tests.stores.records import NOW, contents, guid_of, make_record, newer, plant
from tests.stores.sqlite.on_disk import (
    back_up,
    beside,
    claim_of,
    rename,
    sh,
    size,
    touch,
)
from tests.support import until

if TYPE_CHECKING:
    from pathlib import Path

    from guidkeep.stores import Store
    from guidkeep.testing.opening import Opener


async def fill(store: Store, count: int, *, pad: int) -> None:
    """Inserts records, each with at least `pad` bytes of metadata."""
    for number in range(count):
        assert await store.insert(make_record(number, metadata='{"pad":"%s"}' % ("x" * pad)))


async def test_a_write_is_refused_and_nothing_written_while_the_file_is_away(
    opener: Opener, file: Path
) -> None:
    away = file.with_name("away.db")
    async with opener() as store:
        await store.insert(make_record())
        rename(file, away)
        for write in (
            store.insert(make_record(2)),
            store.replace(newer(make_record()), 1),
            store.delete(guid_of(1), 1),
            store.purge(NOW + 1000, 10),
        ):
            with pytest.raises(StoreUnavailable, match="nothing was written") as caught:
                await write
            assert not isinstance(caught.value, OutcomeUnknown)
        with pytest.raises(StoreUnavailable, match="not in its place"):
            await store.ping()
        assert await store.get(guid_of(1)) == make_record(), "reads go on"
        away.rename(file)
        await store.ping()
        assert await store.get(guid_of(2)) is None
        assert await store.insert(make_record(2))
    async with opener() as store:
        assert await store.get(guid_of(1)) == make_record()
        assert await store.get(guid_of(2)) == make_record(2)


@pytest.mark.parametrize("what", ["", "-wal"])
async def test_a_write_is_not_confirmed_if_the_file_goes_while_it_is_committed(
    opener: Opener, file: Path, what: str
) -> None:
    away = file.with_name("away")

    def move(statement: str) -> None:
        if statement == "COMMIT":
            beside(file, what).rename(away)

    async with opener() as store:
        assert isinstance(store, SQLiteStore)
        store._writer.set_trace_callback(move)
        with pytest.raises(OutcomeUnknown, match="unknown"):
            await store.insert(make_record())
        store._writer.set_trace_callback(None)
        away.rename(beside(file, what))
        assert await store.insert(make_record(2))


OVERWRITES = {
    "cut off": "truncate -s 0 {0}",
    "cut to a page": "truncate -s 4096 {0}",
    "cut off and filled": "truncate -s 0 {0}; truncate -s 1M {0}",
    "another file": "seq 20000 > {0}",
    "zeros at its beginning": "dd if=/dev/zero of={0} bs=4096 count=1 conv=notrunc status=none",
    "a copy by VACUUM INTO": "cat {0}-vacuumed > {0}",
    "a copy by .backup": "cat {0}-backup > {0}",
}


@pytest.mark.processes
@pytest.mark.parametrize("command", OVERWRITES.values(), ids=OVERWRITES)
async def test_a_write_is_not_confirmed_if_the_file_is_overwritten_while_it_is_committed(
    opener: Opener, file: Path, command: str
) -> None:
    """Commits nearly all the time, as a busy server does."""

    def overwrite(statement: str) -> None:
        if statement == "COMMIT":
            sh("sh", "-c", command.format(file))

    async with opener() as store:
        assert isinstance(store, SQLiteStore)
        await store.insert(make_record())
        plant(file, f"VACUUM INTO '{file}-vacuumed'")
        back_up(file, beside(file, "-backup"))
        store._writer.set_trace_callback(overwrite)
        with pytest.raises(OutcomeUnknown, match="unknown"):
            await store.insert(make_record(2))
        store._writer.set_trace_callback(None)
        with pytest.raises(StoreUnavailable, match="nothing was written"):
            await store.insert(make_record(3))
        assert claim_of(store).fault is Fault.CHANGED


async def test_what_a_log_of_before_the_start_makes_of_the_file_is_no_fault(
    opener: Opener, file: Path
) -> None:
    """A kill left VACUUM and ANALYZE in the log: the file shrinks, its schema number changes."""
    async with opener() as store:
        await fill(store, 100, pad=3000)
    before = size(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA wal_autocheckpoint = 0")
        for statement in ("DELETE FROM record", "ANALYZE", "VACUUM"):
            other.execute(statement)
        for suffix in ("", "-wal"):
            shutil.copy(beside(file, suffix), file.with_name(f"left.db{suffix}"))
    left = file.with_name("left.db")
    assert size(left) == before
    with closing(sqlite3.connect(left)) as reader:  # else the start copies the log into the file
        reader.execute("SELECT count(*) FROM record").fetchone()
        store = await open_store(f"sqlite:///{left}", timeout=5, metrics=Metrics())
        try:
            assert isinstance(store, SQLiteStore)
            assert size(left) == before
            store._writer.execute("PRAGMA wal_autocheckpoint = 1")
            for number in range(20):
                assert await store.insert(make_record(number))
            assert size(left) < before
            assert claim_of(store).look()
        finally:
            await store.close()


async def test_what_failed_anyway_is_not_called_unknown(opener: Opener, file: Path) -> None:
    def move(statement: str) -> None:
        if statement == "BEGIN IMMEDIATE":
            rename(file, file.with_name("away.db"))

    async with opener() as store:
        assert isinstance(store, SQLiteStore)
        store._writer.execute("PRAGMA max_page_count = 1")
        store._writer.set_trace_callback(move)
        with pytest.raises(StoreUnavailable, match="nothing was written"):
            await store.insert(make_record(metadata='{"pad":"%s"}' % ("x" * 50_000)))
        store._writer.set_trace_callback(None)
        assert claim_of(store).fault is Fault.GONE


async def test_each_fault_is_told_once_and_so_is_its_end(opener: Opener, file: Path) -> None:
    link = file.with_name("link.db")
    async with opener() as store:
        with capture_logs() as logs:
            link.hardlink_to(file)
            for _ in range(3):
                assert not claim_of(store).look()
            link.unlink()
            for _ in range(3):
                assert claim_of(store).look()
    assert [(event["log_level"], event.get("reason")) for event in logs] == [
        ("error", Fault.LINKED.value),
        ("warning", None),
    ]


async def test_the_path_that_was_given_must_lead_to_the_file_too(tmp_path: Path) -> None:
    first, link = tmp_path / "first.db", tmp_path / "link.db"
    link.symlink_to(first)
    store = await open_store(f"sqlite:///{link}", timeout=5, metrics=Metrics())
    try:
        assert await store.insert(make_record())
        assert claim_of(store).look()
        link.unlink()
        assert not claim_of(store).look()
        (tmp_path / "second.db").touch()
        link.symlink_to(tmp_path / "second.db")
        assert claim_of(store).fault is Fault.GONE
        assert not claim_of(store).look()
        link.unlink()
        link.symlink_to(first)
        assert claim_of(store).look()
    finally:
        await store.close()


async def test_a_new_time_of_the_file_is_no_fault(opener: Opener, file: Path) -> None:
    async with opener() as store:
        touch(file)
        assert claim_of(store).look()
        assert await store.insert(make_record())


async def test_a_large_file_that_another_program_wrote_to_is_noticed(
    opener: Opener, file: Path
) -> None:
    async with opener() as store:
        await fill(store, 200, pad=3000)
    assert size(file) > 500_000
    async with opener() as store:
        with file.open("r+b") as other:
            other.seek(200_000)
            other.write(b"\xff" * 100_000)
        assert not claim_of(store).look()
        assert claim_of(store).fault is Fault.CHANGED


async def test_what_the_store_itself_copies_into_the_file_is_no_fault(
    opener: Opener, file: Path
) -> None:
    async with opener() as store:
        assert isinstance(store, SQLiteStore)
        store._writer.execute("PRAGMA wal_autocheckpoint = 10")
        await fill(store, 200, pad=900)
        assert size(file) > 100_000, "it was copied"
        await store.ping()


@pytest.mark.waits
async def test_a_log_that_another_program_copied_into_the_file_and_emptied_is_no_fault(
    opener: Opener, file: Path
) -> None:
    """A backup's `PRAGMA wal_checkpoint(TRUNCATE)` truncates the log if all is copied."""
    async with opener() as store:
        assert isinstance(store, SQLiteStore)
        await store.insert(make_record())
        store._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
        claim_of(store).holds(wrote=True)
        plant(file, "PRAGMA wal_checkpoint(TRUNCATE)")
        assert size(beside(file, "-wal")) == 0
        await until(claim_of(store).look)
        assert await store.insert(make_record(2))


async def test_a_log_that_was_cut_off_is_not_copied_into_the_file(
    opener: Opener, file: Path
) -> None:
    async with opener() as store:
        await store.insert(make_record())
        before = contents(file)
        with capture_logs() as logs:
            os.truncate(beside(file, "-wal"), 0)
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await store.insert(make_record(2))
        assert claim_of(store).fault is Fault.CUT_LOG
        assert contents(file) == before
    [refused] = [event for event in logs if "can't be copied" in event["event"]]
    assert refused["code"].startswith("SQLITE_IOERR")


@pytest.mark.waits
async def test_the_log_is_saved_when_the_reader_that_was_in_the_way_has_gone(
    opener: Opener, file: Path
) -> None:
    async with opener(timeout=0.2) as store:
        await store.insert(make_record())
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT * FROM record").fetchone()
            await store.insert(make_record(2))
            rename(file, file.with_name("away.db"))
            with pytest.raises(StoreUnavailable):
                await store.insert(make_record(3))
            assert not claim_of(store).is_saved
        await until(lambda: claim_of(store).is_saved)
    with closing(sqlite3.connect(file.with_name("away.db"))) as left:
        assert left.execute("SELECT count(*) FROM record").fetchone() == (2,)


async def test_a_strange_log_in_the_place_of_the_own_is_put_aside(
    opener: Opener, file: Path
) -> None:
    """The next start would copy it into the file, over newer records."""
    log = beside(file, "-wal")
    async with opener() as store:
        await store.insert(make_record())
        shutil.copy(log, file.with_name("former"))
        await store.replace(newer(make_record()), 1)
        shutil.move(file.with_name("former"), log)
        with pytest.raises(StoreUnavailable):
            await store.insert(make_record(2))
        assert not log.exists()
        assert beside(file, "-wal-stray").exists()
    async with opener() as store:
        assert await store.get(guid_of(1)) == newer(make_record())


async def test_a_look_does_not_wait_for_the_writer(opener: Opener, file: Path) -> None:
    async with opener() as store:
        claim = claim_of(store)
        with claim.at_work:
            rename(file, file.with_name("away.db"))
            assert claim.look(), "the writer will see for itself"
        assert not claim.look()


async def test_a_file_that_can_not_be_read_any_more_is_a_fault(
    opener: Opener, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError("Input/output error")

    async with opener() as store:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", fail)
            touch(file)
            assert not claim_of(store).look()
