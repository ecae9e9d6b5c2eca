"""Large databases, filled by SQL and kept between runs.

Guidkeep creates the empty file, so the schema is its own; SQL then inserts the rows, far faster
than HTTP. They are inserted in a few portions, each sorted by GUID: this fills the pages about as
much as records that arrive one by one, in a fraction of the time.

A filled file is kept in a folder outside the repository under a name that depends on its schema; a
changed schema makes a new file. It is used for a day: its records expire after two days, spread
over thirty more.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.servers import guidkeep
from servers.processes import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

DAY = 86_400
BATCHES = 4
USERS = 5_000
FEW_USERS = 10
"""The number of users where metadata is large, since each text is built beforehand."""
SAMPLE = 1_000_000
"""The largest number of GUIDs to read; more would not make reads more random."""

COLUMNS = {"guid", "expire", "version", "user", "metadata"}


@dataclass(frozen=True, slots=True)
class Guids:
    """GUIDs in random order, one a line in a file."""

    file: Path

    def first(self, count: int) -> list[str]:
        """The first `count` GUIDs."""
        with self.file.open() as lines:
            return [line.strip() for line, _ in zip(lines, range(count), strict=False)]


@dataclass(frozen=True, slots=True)
class Database:
    """A file of records, and some of its GUIDs."""

    file: Path
    guids: Guids

    def copy(self, folder: Path) -> Database:
        """Makes a copy that may be written to; it is on disk when this returns."""
        target = folder / f"{self.file.stem}-{time.monotonic_ns()}.db"
        shutil.copyfile(self.file, target)
        descriptor = os.open(target, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return Database(target, self.guids)

    def remove(self) -> None:
        """Deletes the file and the files of SQLite and Guidkeep beside it."""
        for path in self.file.parent.glob(f"{self.file.name}*"):
            path.unlink()


def filled(bench: Bench, count: int, *, size: int = 0) -> Database:
    """A database of live records, kept from a former run or filled now; it must not be written to.

    Args:
        bench: the run.
        count: the number of records.
        size: bytes of each record's metadata, filled up.
    """
    empty = _empty(bench)
    kind = f"{count}x{size}" if size else str(count)
    file = bench.kept / f"{kind}-{_schema(empty)}.db"
    guids = Guids(file.with_suffix(".guids"))
    if not guids.file.exists() or time.time() - guids.file.stat().st_mtime > DAY:
        for old in bench.kept.glob(f"{kind}-*"):
            old.unlink()
        bench.say(f"filling a database with {count:,} records")
        shutil.move(empty, file)
        sample = _fill(file, count, size)
        guids.file.write_text("".join(f"{guid.hex().upper()}\n" for guid in sample))
    return Database(file, guids)


def add_expiring(database: Database, count: int, expire: int) -> None:
    """Inserts records that all expire in the second `expire`."""
    with closing(_open(database.file)) as connection:
        _insert(connection, _random_guids(count), first=expire, spread=1)


def responses(bench: Bench, like: Server, database: Database) -> list[tuple[str, bytes]]:
    """For each GUID of the database, a response of the same length as that server's."""
    guids = database.guids.first(bench.plan.records)
    _, response = like.get(f"/guid/{guids[0]}")
    return [(guid, response.replace(guids[0].encode(), guid.encode())) for guid in guids]


def _empty(bench: Bench) -> Path:
    """An empty file, created by Guidkeep."""
    file = bench.folder / f"empty-{time.monotonic_ns()}.db"
    with guidkeep(bench, file):
        pass
    return file


def _schema(file: Path) -> str:
    """A short name for the schema and the pragmas of the file."""
    with closing(sqlite3.connect(file)) as connection:
        statements = connection.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall()
        chosen = [
            connection.execute(f"PRAGMA {name}").fetchone()
            for name in ("application_id", "user_version", "page_size")
        ]
        columns = {row[1] for row in connection.execute("PRAGMA table_info(record)")}
    if columns != COLUMNS:
        raise Failed(f"the table has other columns than are filled here: {sorted(columns)}")
    return hashlib.sha256(repr((statements, chosen)).encode()).hexdigest()[:12]


def _fill(file: Path, count: int, size: int) -> Sequence[bytes]:
    """Fills an empty file; gives GUIDs out of it, in random order."""
    first = int(time.time()) + 2 * DAY
    share = count // BATCHES
    sample: list[bytes] = []
    with closing(_open(file)) as connection:
        for batch in [share] * (BATCHES - 1) + [count - share * (BATCHES - 1)]:
            guids = _random_guids(batch)
            _insert(connection, guids, first=first, spread=30 * DAY, size=size)
            sample += random.sample(guids, min(batch, SAMPLE // BATCHES))
    random.shuffle(sample)
    return sample


def _open(file: Path) -> sqlite3.Connection:
    """For filling only: without syncs, since a file that is half filled is never used."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -2000000")  # KiB, at most
    return connection


def _random_guids(count: int) -> list[bytes]:
    """Sorted random GUIDs."""
    digits = os.urandom(16 * count)
    return sorted(digits[at : at + 16] for at in range(0, 16 * count, 16))


def _insert(
    connection: sqlite3.Connection,
    guids: Sequence[bytes],
    *,
    first: int,
    spread: int,
    size: int = 0,
) -> None:
    """Inserts records that expire within `spread` seconds from `first` on, uniformly at random."""
    version = int(time.time() * 1_000_000)
    users = [f"Customer {number:04}, Inc." for number in range(FEW_USERS if size else USERS)]
    texts = [(user.encode(), _metadata(user, size)) for user in users]
    choice, within = random.choice, random.random
    rows = (
        (guid, first + int(within() * spread), version + at, *choice(texts))
        for at, guid in enumerate(guids)
    )
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO record (guid, expire, version, user, metadata) VALUES (?, ?, ?, ?, ?)", rows
    )
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")


def _metadata(user: str, size: int) -> str:
    if not size:
        return f'{{"user":"{user}"}}'
    filling = "f" * (size - len(user) - len('{"user":"","filling":""}'))
    return f'{{"user":"{user}","filling":"{filling}"}}'
