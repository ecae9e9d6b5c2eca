"""A process' claim on a database file: no other process serves it, and the path still leads to it.

*One process.* The process holds two locks until it ends; the kernel releases them however it ends.
One lock is on the file itself, so that neither a second name of the file nor the removal of the
other lock lets a second process in. It is a lock of the open file description, on a byte that
SQLite does not use. So it does not interfere with SQLite's locks, and it survives when the process
closes another descriptor of the file. The other lock is on a file beside the database
(`FILE-lock`), so that no process serves a new file of that name while this one is moved away.
Former versions hold only this second lock.

*The same file.* SQLite keeps its files open even if their names change. A file that was moved, or a
log that was removed, still accepts writes without an error, and they are lost at a restart. So the
names are looked up and compared with the open files before each batch of writes, again between its
commit and its acknowledgements, and twice a second while nothing is written. If they differ, no
further write is accepted, and the log is copied into the open file.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
import threading
import zlib
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog

from guidkeep.errors import StartupError
from guidkeep.stores.sqlite.locks import Hold, lock_beside, lock_itself, require_one
from guidkeep.system.files import create_private, open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger(__name__)

LONGEST = 504
"""The longest path that SQLite accepts, in bytes, including the suffixes of its other files."""

SAMPLES, SAMPLE = 32, 4096
"""Pieces of the file that are compared to see whether it changed: their number, and bytes each."""
_HEADER, _SCHEMA = (slice(0, 24), slice(44, 92)), slice(40, 44)
"""Parts of the database header: the constant ones, and the schema's number.
https://sqlite.org/fileformat2.html."""
BESIDE = ("-wal", "-shm", "-journal")
"""The suffixes that SQLite adds to a database's name for its other files."""


class Fault(Enum):
    """A fault of the file under the server, worded for the log."""

    REMOVED = "the file was removed: its records can be read and exported until the server stops"
    GONE = "the path no longer leads to this file: it was moved or replaced"
    LINKED = "the file has a second name (a hard link)"
    CHANGED = "another program wrote to the file or truncated it"
    NO_LOG = "the log (-wal) was removed, moved or replaced"
    CUT_LOG = "the log (-wal) was truncated"


_ADVICE = {
    Fault.REMOVED: "Export the records that you need, restore the file from a copy, restart.",
    Fault.GONE: "Put the file back, or restart the server with the path of the file to serve.",
    Fault.LINKED: "Remove the second name.",
    Fault.CHANGED: "Stop the server, restore the file from a copy without its -wal, start it.",
    Fault.NO_LOG: "Restart the server.",
    Fault.CUT_LOG: "Records that only the log had are lost. Restart the server, or restore a copy.",
}


_HOPELESS = {None, Fault.REMOVED, Fault.CHANGED}
"""No fault, or a fault for which copying the log into the file does not help."""
_RIGHTS = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS}


class Intended(NamedTuple):
    """The file's size in bytes and its schema's number after the log is copied into it."""

    size: int
    schema: int


class _Content(NamedTuple):
    """Properties of the file that show whether another program wrote to it."""

    size: int
    changed: int
    sample: int
    header: bytes
    schema: int

    def may_become(self, now: _Content, intended: Intended) -> bool:
        """Returns whether copying the log into the file may have caused the change.

        That neither truncates the file nor changes the format and schema fields of its header. A
        copy made by SQLite (`VACUUM INTO`, `.backup`) has another schema number.
        """
        return (
            now.size >= min(self.size, intended.size)
            and now.header == self.header
            and now.schema in (self.schema, intended.schema)
        )


class Claim:
    """The claim of this process on a database file. See the module's text.

    Args:
        path: the database, which is created if it does not exist; may be a symbolic link.

    Raises:
        StartupError: another process serves the file, or it cannot be served.

    Attributes:
        path: the file's path with links resolved. SQLite must be given this one.
        fault: the fault found by the last check; None if there was none.
        is_saved: whether the log has nothing left to copy, although there is a fault.
        at_work: the lock for writing and for checking the files, so that a check sees no half of
            a write.
    """

    def __init__(self, path: Path) -> None:
        self._named = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute leaves `..` in
        self.path = Path(os.path.realpath(path))
        self._place = str(self.path)
        self._wal = f"{self.path}-wal"
        self.fault: Fault | None = None
        self.is_saved = True
        self._shown = path
        if len(os.fsencode(self.path)) > LONGEST:
            raise StartupError(
                f"Can't use the store {path}: SQLite accepts no path longer than {LONGEST} bytes."
            )
        self.at_work = threading.Lock()
        self._log: tuple[int, int] | None = None
        self._log_size = 0
        self._content = _Content(0, 0, 0, b"", 0)
        self._intended = Intended(0, 0)
        with _said(path):
            # Before opening: closing it would release the locks of SQLite in this process.
            _require_servable(self.path, path)
            self._lock, self._beside_is = lock_beside(self.path, path)
        try:
            with _said(path):
                self._file = self._opened()
        except BaseException:
            os.close(self._lock)
            raise
        self._identity = _identity(os.fstat(self._file))

    def release(self) -> None:
        """Releases the locks. To be called when no connection is open."""
        os.close(self._file)
        os.close(self._lock)

    # At start.

    def _opened(self) -> int:
        """Opens and locks the file; returns its descriptor."""
        try:
            descriptor = open_regular(self.path)
        except FileNotFoundError:
            self._require_no_log()
            descriptor = create_private(self.path)
        try:
            found = os.fstat(descriptor)
            self._itself_is = lock_itself(descriptor)
            require_one(self._beside_is, self._itself_is, self._shown)
            if not found.st_size:
                self._require_no_log()
            self._look_beside(found)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _require_no_log(self) -> None:
        """Refuses a log without its file: SQLite would drop it, with acknowledged writes."""
        wal = self._beside("-wal")
        if wal.exists() and wal.stat().st_size:
            raise StartupError(
                f"Can't use the store {self._shown}: it does not exist or is empty, but its log "
                f"{wal.name} exists and may hold records. If the file was moved, move it back, "
                "or move the log to it; if you do not need the records, remove the log."
            )

    def _look_beside(self, main: os.stat_result) -> None:
        """Refuses files that another user may have planted in place of SQLite's other files."""
        for path in map(self._beside, BESIDE):
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                continue
            if (
                not stat.S_ISREG(found.st_mode)
                or found.st_nlink != 1
                or found.st_uid not in (main.st_uid, os.geteuid())
            ):
                raise StartupError(
                    f"Can't use the store {self._shown}: {path.name} beside it is a link, or "
                    "belongs to another user. Check it and remove it."
                )

    def _warn_of_readers(self) -> None:
        found = (_stat(f"{self.path}{suffix}") for suffix in ("", *BESIDE))
        if any(each and each.st_mode & 0o007 for each in found):
            log.warning(
                "every user of this machine can read the store's file, or write it",
                path=str(self.path),
                advice=f"chmod o= {shlex.quote(str(self.path))}*",
            )

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.name}{suffix}")

    # While it is served.

    def begin(self, intended: Intended) -> None:
        """Records the open files as those of the path. Each connection must have read before.

        Args:
            intended: the file's size and schema number after the log is copied into it.

        Raises:
            StartupError: the path no longer leads to the open file.
        """
        with _said(self._shown):
            self._log = _identity(os.lstat(self._wal))
        self._intended = intended
        self._content = self._content_of(os.fstat(self._file))
        if not self.look():
            raise StartupError(
                f"Can't use the store {self._shown}: {self.fault and self.fault.value}."
            )
        self._warn_of_readers()

    def look(self) -> bool:
        """Returns whether all files are in place; during a write, the result of its last check."""
        if self.at_work.acquire(blocking=False):
            try:
                if self._itself_is is Hold.SHARED:  # the reader's lock may be gone by now
                    self._itself_is = lock_itself(self._file)
                self.holds()
            finally:
                self.at_work.release()
        return self.fault is None

    def holds(self, *, wrote: bool = False) -> bool:
        """Returns whether all files are in place. The caller must hold `at_work`.

        Args:
            wrote: whether SQLite has written since the last check.
        """
        fault = self._find(wrote=wrote)
        if fault is not self.fault:
            self._tell(fault)
            self.fault = fault
            self.is_saved = fault in _HOPELESS
        return fault is None

    def saved(self) -> None:
        """Notes that the log has been copied into the file and is empty.

        The next start would read another file under the log's name into the database, over newer
        records. So such a file is renamed.
        """
        self.is_saved = True
        if self.fault is Fault.NO_LOG:
            with suppress(OSError):
                self._beside("-wal").replace(self._beside("-wal-stray"))
        self._log_size = 0
        self._content = self._content_of(os.fstat(self._file))

    def _find(self, *, wrote: bool) -> Fault | None:
        found = _stat(self._place)
        if found is None or _identity(found) != self._identity or not self._is_named():
            return Fault.GONE if os.fstat(self._file).st_nlink else Fault.REMOVED
        if self._is_changed(found, wrote=wrote):
            return Fault.CHANGED
        return self._find_log() or (None if found.st_nlink == 1 else Fault.LINKED)

    def _is_named(self) -> bool:
        """Returns whether the operator's path, if it differs, leads to the file."""
        if self._named == self.path:
            return True
        try:
            return _identity(self._named.stat()) == self._identity
        except OSError:
            return False

    def _find_log(self) -> Fault | None:
        found = _stat(self._wal)
        if found is None or _identity(found) != self._log:
            return Fault.NO_LOG
        if found.st_size < self._log_size:
            return Fault.CUT_LOG
        self._log_size = found.st_size
        return None

    def _is_changed(self, found: os.stat_result, *, wrote: bool) -> bool:
        """Returns whether another program changed the file; a new time alone is no change."""
        former = self._content
        if (found.st_size, found.st_mtime_ns) == (former.size, former.changed):
            return False
        now = self._content_of(found)
        if wrote:
            if not former.may_become(now, self._intended):
                return True
        elif (now.size, now.sample) != (former.size, former.sample):
            return True
        self._content = now
        return False

    def _content_of(self, found: os.stat_result) -> _Content:
        """Reads the properties. Called only when the file changed: one commit in thousands."""
        places = range(0, found.st_size, max(SAMPLE, found.st_size // SAMPLES))
        try:
            sample = b"".join(os.pread(self._file, SAMPLE, at) for at in places)
        except OSError:
            sample = b""
        header = b"".join(sample[part] for part in _HEADER)
        schema = int.from_bytes(sample[_SCHEMA])
        return _Content(found.st_size, found.st_mtime_ns, zlib.crc32(sample), header, schema)

    def _tell(self, fault: Fault | None) -> None:
        if fault is None:
            log.warning("the store's file is in its place again", path=str(self.path))
        else:
            log.error(
                "the store's file is not in its place",
                path=str(self.path),
                reason=fault.value,
                advice=_ADVICE[fault],
            )


def _stat(path: str) -> os.stat_result | None:
    """Returns None if the file does not exist or cannot be looked at."""
    try:
        return os.lstat(path)
    except OSError:
        return None


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _require_servable(path: Path, shown: Path) -> None:
    what = None
    found = _stat(str(path))
    if found is None:
        return
    if stat.S_ISDIR(found.st_mode):
        what = "it is a folder"
    elif not stat.S_ISREG(found.st_mode):
        what = "it is not a regular file"
    elif found.st_nlink != 1:
        what = (
            f"it has {found.st_nlink} names (hard links), and SQLite keeps a log for each name. "
            f"Remove the others; find -samefile {shlex.quote(str(path))} lists them"
        )
    if what:
        raise StartupError(f"Can't use the store {shown}: {what}.")


@contextmanager
def _said(shown: Path) -> Iterator[None]:
    """Raises StartupError with a message for an OSError in the `with` block."""
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename and error.filename != str(shown) else ""
        advice = "File and folder must exist and be writable." if error.errno in _RIGHTS else ""
        raise StartupError(
            f"Can't use the store {shown}: {error.strerror}{place}. {advice}".rstrip()
        ) from error
