"""The file of an SQLite store: its schema and its durable connections.

`guidkeep.stores.sqlite.claim` keeps other processes out and checks that the path still leads to it.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import structlog

from guidkeep.errors import StartupError
from guidkeep.stores.sqlite.claim import Claim, Intended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = structlog.get_logger(__name__)

SCHEMA_VERSION = 1
APPLICATION_ID = 0x47554944  # "GUID"
OLDEST_SQLITE = (3, 38, 0)  # has built-in JSON functions, upserts and strict tables

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE record (
    guid     BLOB PRIMARY KEY NOT NULL,
    expire   INTEGER NOT NULL,           -- Unix time, seconds
    version  INTEGER NOT NULL,           -- no other record has it, see new_version
    user     BLOB,                       -- the metadata's user, UTF-8, for listing
    metadata TEXT NOT NULL               -- a JSON object, as it came
) STRICT, WITHOUT ROWID;
CREATE INDEX record_by_expire ON record (expire);
CREATE INDEX record_by_user ON record (user) WHERE user IS NOT NULL;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

_COLUMNS = """
SELECT length(guid), expire, version, length(user), length(metadata) FROM record LIMIT 1
"""
CHECKPOINT_PAGES = 8_000
"""The log is copied into the file at this number of pages: 32 MB at the usual page size."""
PAGE_CACHE_KIB = 32_768


class SQLiteFile:
    """The database file, claimed for this process, with a checked schema.

    Attributes:
        claim: checks whether the path still leads to the file.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            oldest = ".".join(map(str, OLDEST_SQLITE))
            raise StartupError(
                f"This Python has SQLite {sqlite3.sqlite_version}; "
                f"Guidkeep needs {oldest} or newer."
            )
        self.claim = Claim(path)
        self._connections: list[sqlite3.Connection] = []
        self._said = ""
        with self.begun():
            self._prepare()

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Releases the file if the `with` block fails.

        Raises:
            StartupError: the block failed because of the file.
        """
        try:
            yield
        except BaseException as error:
            self.close()
            if not isinstance(error, sqlite3.Error):
                raise
            raise StartupError(
                f"Can't use the store {self._path}: {words_of(error)}. {_advice(error)}".rstrip()
            ) from error

    def connect(
        self, *, read_only: bool = False, cache_kib: int = PAGE_CACHE_KIB
    ) -> sqlite3.Connection:
        """Returns a connection for one thread at a time; a writing connection is durable."""
        connection = sqlite3.connect(
            self.claim.path,
            # So that SQLite reports "busy" before the caller's deadline; it counts milliseconds.
            timeout=min(self._timeout * 0.8, 1_000_000),
            isolation_level=None,
            check_same_thread=False,
        )
        self._connections.append(connection)
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        if read_only:
            connection.execute("PRAGMA query_only = true")
            return connection
        [mode] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StartupError(f"Can't put {self._path} into WAL mode: is it on a network drive?")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = true")  # macOS: else the drive's cache keeps it
        connection.execute("PRAGMA checkpoint_fullfsync = true")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection

    def begin(self) -> None:
        """Starts the claim's checks of the files that the connections have open.

        Raises:
            StartupError: the path leads to other files.
        """
        for connection in self._connections:  # SQLite opens the log at the first read
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        [pages], [size], [schema] = (
            self._connections[0].execute(f"PRAGMA {name}").fetchone()
            for name in ("page_count", "page_size", "schema_version")
        )
        self.claim.begin(Intended(pages * size, schema))

    def save(self, writer: sqlite3.Connection) -> None:
        """Copies the log into the file, because the log's name no longer leads to the log.

        A reader may prevent this; then the caller has to try again later.
        """
        if self.claim.is_saved:
            return
        try:
            [is_busy, _, _] = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            self._say_once(name_of(error))
        else:
            if not is_busy:
                self.claim.saved()

    def _say_once(self, code: str) -> None:
        if code != self._said:
            log.error("the log can't be copied into the file", code=code)
        self._said = code

    def close(self) -> None:
        """Closes the connections, the oldest last, and releases the claim."""
        while self._connections:
            self._connections.pop().close()
        self.claim.release()

    def _prepare(self) -> None:
        """Creates the schema in an empty file, or checks it; and checks that writing works."""
        with closing(sqlite3.connect(self.claim.path, isolation_level=None)) as connection:
            is_new = self._check_owner(connection)
        with closing(self.connect()) as connection:
            if is_new:
                connection.executescript(SCHEMA)
            connection.execute("BEGIN IMMEDIATE")  # fails if the file cannot be written
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
            connection.execute(_COLUMNS).fetchone()
        self._connections.clear()  # the one above is closed

    def _check_owner(self, connection: sqlite3.Connection) -> bool:
        """Returns whether the file is new. Changes nothing in another program's file."""
        [owner] = connection.execute("PRAGMA application_id").fetchone()
        [version] = connection.execute("PRAGMA user_version").fetchone()
        [tables] = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not (owner or version or tables):
            return True
        if owner != APPLICATION_ID:
            raise StartupError(f"{self._path} is another program's database, not Guidkeep's.")
        if version > SCHEMA_VERSION:
            raise StartupError(
                f"{self._path} was written by a newer Guidkeep (schema {version}; this one "
                f"knows {SCHEMA_VERSION}): start that version, or a newer one."
            )
        return False


def code_of(error: sqlite3.Error) -> int:
    """Returns SQLite's primary result code; 0 for an error of the Python module."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def name_of(error: sqlite3.Error) -> str:
    """Returns the name of SQLite's result code, or of the error's class."""
    return getattr(error, "sqlite_errorname", type(error).__name__)


def words_of(error: sqlite3.Error) -> str:
    """Returns the error's text for a log.

    An error of the Python module may quote a stored value (a text that is not UTF-8, for example),
    so only its class is named.
    """
    return str(error) if hasattr(error, "sqlite_errorname") else type(error).__name__


def _advice(error: sqlite3.Error) -> str:
    return {
        sqlite3.SQLITE_NOTADB: "It is damaged, or not an SQLite database: restore it from a copy.",
        sqlite3.SQLITE_CORRUPT: "It is damaged: restore it from a copy.",
        sqlite3.SQLITE_READONLY: "File and folder must be writable.",
        sqlite3.SQLITE_CANTOPEN: "File and folder must exist and be writable.",
        sqlite3.SQLITE_FULL: "The disk is full.",
        sqlite3.SQLITE_IOERR: "The disk is full or fails.",
        sqlite3.SQLITE_BUSY: "Another program has it locked.",
    }.get(code_of(error), "")
