"""The SQLite store, the default: one file, one process, every acknowledged write on the disk.

The file is in WAL mode with `synchronous=FULL`: a commit returns when the log is on the disk, so an
acknowledged write survives a power cut. Writes of many requests share one commit (see
`guidkeep.batching.batcher`).

*One writer.* All writes, the purge and the checkpoints use one connection on one thread, so nothing
else changes during a transaction: Python decides the batch's outcome from the versions read at its
beginning. Reads have connections and threads of their own and see the last commit.

*One file.* Before each batch of writes, and again before its acknowledgements, the claim checks
that the path still leads to the open file (see `guidkeep.stores.sqlite.claim`).

The file's schema is in `guidkeep.stores.sqlite.file`, the statements for records in
`guidkeep.stores.sqlite.records`, those for pages and counts in `guidkeep.stores.sqlite.lists`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from guidkeep.batching.batcher import Batchers
from guidkeep.errors import (
    OutcomeUnknown,
    StoreUnavailable,
    unreadable,
    unwritable,
)
from guidkeep.stores.sqlite import lists
from guidkeep.stores.sqlite import records as sqlite_records
from guidkeep.stores.sqlite.file import SQLiteFile, code_of, name_of, words_of
from guidkeep.stores.sqlite.path import path_of
from guidkeep.system.tasks import on_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guidkeep.metrics import Metrics
    from guidkeep.record import Query, Record
    from guidkeep.stores import Counted

log = structlog.get_logger(__name__)

BATCH_LIMIT = 1024
WATCH_INTERVAL = 0.5
"""Seconds between two checks of the files."""
COUNTER_CACHE_KIB = 2_048
"""Small: a count reads each page of the index only once."""

_FAILS_FOR_ALL = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
}
"""Codes that no single row or page causes, so a retry one by one would not help."""


class _Write(NamedTuple):
    """A write that waits for its batch.

    Attributes:
        guid: the record's GUID.
        expected: the version that is replaced or deleted; None for a new record.
        record: the new record; None for a deletion.
    """

    guid: bytes
    expected: int | None
    record: Record | None = None


class _Purge(NamedTuple):
    """A purge that waits for its batch: at most `limit` records that are expired at `now`."""

    now: int
    limit: int


class SQLiteStore:
    """The store. See the module's text. Created by `open`."""

    path_of = staticmethod(path_of)

    def __init__(self, file: SQLiteFile, *, timeout: float, metrics: Metrics) -> None:
        self._file = file
        self._timeout = timeout
        self._writer = file.connect()  # opened first: closed last, when it copies the log
        self._reader = file.connect(read_only=True)
        self._lister = file.connect(read_only=True)
        self._counter = file.connect(read_only=True, cache_kib=COUNTER_CACHE_KIB)
        file.begin()
        self._batchers = batchers = Batchers(timeout=timeout, observe=metrics.observe_batch)
        self._writes = batchers.on_thread(
            "write",
            self._write,
            name="guidkeep-writer",
            limit=BATCH_LIMIT,
            give_up=self._give_up_write,
        )
        self._reads = batchers.on_thread(
            "read",
            self._read,
            name="guidkeep-reader",
            limit=BATCH_LIMIT,
            give_up=lambda _: self._give_up_read(self._reader),
        )
        # A list shares no batch, so that a timeout of a long one fails no other.
        self._lists = batchers.on_thread(
            "list",
            self._list,
            name="guidkeep-lister",
            give_up=lambda _: self._give_up_read(self._lister),
        )
        self._counts = batchers.on_thread(
            "count",
            self._count,
            name="guidkeep-counter",
            give_up=lambda _: self._give_up_read(self._counter),
        )
        self._watcher = asyncio.create_task(self._watch())

    @classmethod
    async def open(cls, url: str, *, timeout: float, metrics: Metrics) -> SQLiteStore:
        """Opens the file that `sqlite:///FILE` names, or creates it.

        Raises:
            StartupError: another process serves the file; it is not a Guidkeep database or a newer
                one; it is damaged; or it cannot be written.
        """
        file = await asyncio.to_thread(SQLiteFile, path_of(url), timeout)
        with file.begun():
            return cls(file, timeout=timeout, metrics=metrics)

    async def get(self, guid: str) -> Record | None:
        """Returns the record as stored, expired or not."""
        return await self._reads.submit(bytes.fromhex(guid))

    async def insert(self, record: Record) -> bool:
        """Stores a new record. Returns False if its GUID has a record, expired or not."""
        write = _Write(bytes.fromhex(record.guid), None, record)
        return bool(await self._writes.submit(write))

    async def replace(self, record: Record, version: int) -> bool:
        """Replaces the record of that version. Returns False if that version is not stored."""
        write = _Write(bytes.fromhex(record.guid), version, record)
        return bool(await self._writes.submit(write))

    async def delete(self, guid: str, version: int) -> bool:
        """Deletes the record of that version. Returns False if that version is not stored."""
        return bool(await self._writes.submit(_Write(bytes.fromhex(guid), version)))

    async def page(self, query: Query, now: int) -> list[Record]:
        """Returns live records in GUID order."""
        found: list[Record] = await self._lists.submit(partial(lists.page, query=query, now=now))
        return found

    async def skip(self, query: Query, count: int) -> str | None:
        """Returns the GUID that comes `count` positions after the query's."""
        found: str | None = await self._lists.submit(partial(lists.skip, query=query, count=count))
        return found

    async def count(self, first: int, before: int, limit: int) -> Counted:
        """Counts records by their `expire`, about `limit` of them, along the index."""
        return await self._counts.submit((first, before, limit))

    async def purge(self, now: int, limit: int) -> int:
        """Deletes at most `limit` records that are expired at `now`; returns how many."""
        return await self._writes.submit(_Purge(now, limit))

    async def clock(self) -> float | None:
        """Returns None: the store uses this machine's clock."""
        return None

    async def ping(self) -> None:
        """Raises StoreUnavailable if the file cannot be read or is no longer in its place."""
        await self._reads.submit(bytes(16))
        if not await on_thread(self._file.claim.look):
            raise StoreUnavailable(
                "The store's file is not in its place; the server's log says what to do."
            )

    async def close(self) -> None:
        """Finishes submitted operations, copies the log into the file, and releases the file."""
        self._watcher.cancel()
        await asyncio.wait([self._watcher])
        await self._look()  # SQLite does not copy the log into a file that was moved
        await self._batchers.close()
        self._file.close()

    async def _watch(self) -> None:
        """Checks the file's place at intervals, for times without writes."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            await self._look()

    async def _look(self) -> None:
        claim = self._file.claim
        if not await on_thread(claim.look) and not claim.is_saved:
            with suppress(StoreUnavailable):
                await self.purge(0, 0)  # any write would do: it is refused, and the log is saved

    # What follows runs on the threads.

    def _read(self, guids: Sequence[bytes]) -> Sequence[Record | Exception | None]:
        try:
            return sqlite_records.read(self._reader, guids)
        except sqlite3.Error as error:
            if _may_be_one(error, guids):
                return [result for guid in guids for result in self._read([guid])]
            return [_failed(error, unreadable())] * len(guids)

    def _list(self, questions: Sequence[Callable[[sqlite3.Connection], Any]]) -> Sequence[Any]:
        [ask] = questions
        try:
            return [ask(self._lister)]
        except sqlite3.Error as error:
            return [_failed(error, unreadable())]

    def _count(self, steps: Sequence[tuple[int, int, int]]) -> Sequence[Counted | Exception]:
        [(first, before, limit)] = steps
        try:
            return [lists.count(self._counter, first, before, limit)]
        except sqlite3.Error as error:
            return [_failed(error, unreadable())]

    def _write(self, writes: Sequence[_Write | _Purge]) -> Sequence[int | Exception]:
        """Commits a batch, if the file is in its place before and after it.

        If it is not, the log is saved before any write is acknowledged.
        """
        claim = self._file.claim
        with claim.at_work:
            if not claim.holds():
                self._file.save(self._writer)
                return [unwritable()] * len(writes)
            results = self._try(writes)
            if claim.holds(wrote=True):
                return results
            self._file.save(self._writer)
        lost = OutcomeUnknown(
            "The store's file was moved, replaced or removed during the write: whether the write "
            "was kept is unknown. Read the record again."
        )
        return [result if isinstance(result, Exception) else lost for result in results]

    def _try(self, writes: Sequence[_Write | _Purge]) -> Sequence[int | Exception]:
        """Commits a batch; if a row is refused, tries each write alone, so that others succeed."""
        try:
            return self._commit(writes)
        except sqlite3.Error as error:
            self._roll_back()
            if _may_be_one(error, writes):
                return [result for write in writes for result in self._try([write])]
            return [_failed(error, unwritable())] * len(writes)
        except OutcomeUnknown as error:
            return [error] * len(writes)
        finally:
            self._roll_back()  # if it is not committed by now

    def _commit(self, writes: Sequence[_Write | _Purge]) -> list[int | Exception]:
        connection = self._writer
        connection.execute("BEGIN IMMEDIATE")
        results = self._apply(writes)
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if code_of(error) == sqlite3.SQLITE_IOERR:
                # The log's last page may be on the disk: a crash now could restore the write.
                log.error("commit failed", error=words_of(error), code=name_of(error))  # noqa: TRY400 - the code says it
                message = (
                    "The disk failed during the commit: whether the write was kept is unknown."
                )
                raise OutcomeUnknown(message) from error
            raise
        return results

    def _apply(self, writes: Sequence[_Write | _Purge]) -> list[int | Exception]:
        """Decides each write in order, from the current versions, then writes the result."""
        guids = list({write.guid for write in writes if isinstance(write, _Write)})
        before = sqlite_records.versions(self._writer, guids)
        now_stored = dict(before)
        puts: dict[bytes, Record] = {}
        results: list[int | Exception] = []
        for write in writes:
            if isinstance(write, _Purge):
                continue
            done = now_stored.get(write.guid) == write.expected
            if done and write.record is not None:
                now_stored[write.guid] = write.record.version
                puts[write.guid] = write.record
            elif done:
                del now_stored[write.guid]
                puts.pop(write.guid, None)
            results.append(int(done))
        sqlite_records.put(self._writer, puts)
        gone = [guid for guid in before if guid not in now_stored]
        sqlite_records.delete(self._writer, gone)
        return self._purge_in_turn(writes, results)

    def _purge_in_turn(
        self, writes: Sequence[_Write | _Purge], results: list[int | Exception]
    ) -> list[int | Exception]:
        """Runs the batch's purges after its other writes; inserts their results in order."""
        for at, write in enumerate(writes):
            if isinstance(write, _Purge):
                results.insert(at, sqlite_records.purge(self._writer, write.now, write.limit))
        return results

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            try:
                self._writer.execute("ROLLBACK")
            except sqlite3.Error as error:
                log.error("rollback failed", error=words_of(error), code=name_of(error))  # noqa: TRY400 - the same

    # And these on the event loop.

    def _give_up_write(self, done: asyncio.Future[object]) -> StoreUnavailable:
        self._writer.interrupt()
        return OutcomeUnknown(
            f"The store did not respond within {self._timeout:g} s: whether the write was kept is "
            "unknown. Read the record again.",
            settled=done,
        )

    def _give_up_read(self, connection: sqlite3.Connection) -> StoreUnavailable:
        connection.interrupt()
        return StoreUnavailable(f"The store did not respond within {self._timeout:g} s.")


def _failed(error: sqlite3.Error, failure: StoreUnavailable) -> StoreUnavailable:
    log.error("store failed", error=words_of(error), code=name_of(error))
    failure.__cause__ = error
    return failure


def _may_be_one(error: sqlite3.Error, batch: Sequence[object]) -> bool:
    """Returns whether one operation of the batch may have caused the error."""
    return len(batch) > 1 and code_of(error) not in _FAILS_FOR_ALL
