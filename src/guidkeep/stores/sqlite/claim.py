"""A process' claim on a database file: nobody else serves it, and the path still leads to it.

*One process.* Two locks are held for as long as the process lives; the kernel lets go of them
however the process ends. One is on the file itself, so that neither another name of it nor the
removal of the other lock lets a second process in. It is a lock of the open file description on a
byte that SQLite does not use, so it minds neither SQLite's locks nor those that SQLite loses when
the process closes a descriptor. The other is on a file beside it (`FILE-lock`), so that nobody
serves a new file of that name while this one is moved away; former versions hold that one alone.

*The same file.* SQLite has its files open, whatever becomes of their names. A file that is moved
away takes all writes without a word, and so does a log that was removed: after a restart they are
gone. So before a batch of writes, and again between its commit and its answers, the names are
looked up and compared with what is open, and so they are twice a second while nothing is written.
When they differ, nothing more is written, and what the log has is copied into the file, wherever
that is now.
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

log = structlog.get_logger("guidkeep.stores.sqlite")

LONGEST = 504
"""Bytes of a path that SQLite takes, the names beside it included."""

SAMPLES, SAMPLE = 32, 4096
"""How many pieces of the file tell whether it is another than it was, and the bytes of each."""
_HEADER, _SCHEMA = (slice(0, 24), slice(44, 92)), slice(40, 44)
"""In the header of a database what stays as it is, and a number that changes with its schema:
https://sqlite.org/fileformat2.html."""
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite adds to a database's name for the names of its other files."""


class Fault(Enum):
    """What is wrong with the file under the server, in words for the log."""

    REMOVED = "the file was removed: its records can be read, and exported, until the server stops"
    GONE = "the path leads to this file no more: it was moved, or another was put there"
    LINKED = "the file has another name too (a hard link)"
    CHANGED = "another program wrote into the file, or cut it off"
    NO_LOG = "the log (-wal) was removed, moved or replaced"
    CUT_LOG = "the log (-wal) was cut off"


_ADVICE = {
    Fault.REMOVED: "Export what is needed, restore the file from a copy, restart.",
    Fault.GONE: "Put the file back, or restart the server with the path of the file to be served.",
    Fault.LINKED: "Remove the other name.",
    Fault.CHANGED: "Stop the server, restore the file from a copy without its -wal, start it.",
    Fault.NO_LOG: "Restart the server.",
    Fault.CUT_LOG: "What only the log had is lost. Restart the server, or restore a copy.",
}


_HOPELESS = {None, Fault.REMOVED, Fault.CHANGED}
"""Where nothing is gained by copying the log into the file, or nothing is wrong."""
_RIGHTS = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS}


class Intended(NamedTuple):
    """The bytes of the file, and the number of its schema, when the log is copied into it."""

    size: int
    schema: int


class _Content(NamedTuple):
    """What tells that nobody else wrote into the file."""

    size: int
    changed: int
    sample: int
    header: bytes
    schema: int

    def may_become(self, now: _Content, intended: Intended) -> bool:
        """Whether copying the log into the file may have made that of it.

        It neither cuts the file off nor touches what its header says of its form and schema. A copy
        that SQLite made (`VACUUM INTO`, `.backup`) has another number of its schema.
        """
        return (
            now.size >= min(self.size, intended.size)
            and now.header == self.header
            and now.schema in (self.schema, intended.schema)
        )


class Claim:
    """See the module's text.

    Args:
        path: of the database, which is made if it is not there; may be a symbolic link.

    Raises:
        StartupError: it is served by another process, or is none that can be served.

    Attributes:
        path: the file's own, where links are resolved. SQLite is to be given this one.
        fault: what was wrong when it was last looked at; None: nothing.
        is_saved: whether nothing is left to be copied from the log, though there is a fault.
        at_work: held by whoever writes or looks at the files, so that none sees the other's half.
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
                f"Can't use the store {path}: SQLite takes no path that is longer than "
                f"{LONGEST} bytes."
            )
        self.at_work = threading.Lock()
        self._log: tuple[int, int] | None = None
        self._log_size = 0
        self._content = _Content(0, 0, 0, b"", 0)
        self._intended = Intended(0, 0)
        with _said(path):
            # Before it is opened: closing it drops the locks that this process' SQLite has on it.
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
        """Lets another process have the file. To be called when no connection is open."""
        os.close(self._file)
        os.close(self._lock)

    # At start.

    def _opened(self) -> int:
        """The descriptor of the file, which is locked."""
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
        """SQLite would drop the log of a file that is not there, and what was answered with it."""
        wal = self._beside("-wal")
        if wal.exists() and wal.stat().st_size:
            raise StartupError(
                f"Can't use the store {self._shown}: it is not there, or empty, and its log "
                f"{wal.name} is there and may hold records. If the file was moved, move it back, "
                "or the log after it; if the records are not wanted, remove the log."
            )

    def _look_beside(self, main: os.stat_result) -> None:
        """Refuses what somebody planted in the place of SQLite's other files."""
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
                    "belongs to another user. Look at it, and remove it."
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
        """Takes what is open now for what belongs to the path. Each connection has read by now.

        Args:
            intended: what the log makes of the file.

        Raises:
            StartupError: it does not belong there any more.
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
        """Whether all is in its place; while the writer is at work, as it found that last."""
        if self.at_work.acquire(blocking=False):
            try:
                if self._itself_is is Hold.SHARED:  # the reader that was in the way may have gone
                    self._itself_is = lock_itself(self._file)
                self.holds()
            finally:
                self.at_work.release()
        return self.fault is None

    def holds(self, *, wrote: bool = False) -> bool:
        """Whether all is in its place. For whoever has `at_work`.

        Args:
            wrote: SQLite has been told to write since it was last asked.
        """
        fault = self._find(wrote=wrote)
        if fault is not self.fault:
            self._tell(fault)
            self.fault = fault
            self.is_saved = fault in _HOPELESS
        return fault is None

    def saved(self) -> None:
        """What the log had is in the file now, and the log is empty.

        Another file under the log's name would be read into the database at the next start, over
        what is newer there; so it is put aside.
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
        """Whether the path that the operator gave leads to the file, where it is another path."""
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
        """Whether another program made it what it is; its time alone may be new, by `touch`."""
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
        """To be asked for when the file itself was written, which one commit in thousands does."""
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
    """None: there is nothing, or nothing that could be looked at."""
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
        what = "it is no regular file"
    elif found.st_nlink != 1:
        what = (
            f"it has {found.st_nlink} names (hard links), and SQLite keeps a log for each name. "
            f"Remove the others: find them with find -samefile {shlex.quote(str(path))}"
        )
    if what:
        raise StartupError(f"Can't use the store {shown}: {what}.")


@contextmanager
def _said(shown: Path) -> Iterator[None]:
    """Raises StartupError, with a sentence, for what the system refuses."""
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename and error.filename != str(shown) else ""
        advice = "File and folder must exist and be writable." if error.errno in _RIGHTS else ""
        raise StartupError(
            f"Can't use the store {shown}: {error.strerror}{place}. {advice}".rstrip()
        ) from error
