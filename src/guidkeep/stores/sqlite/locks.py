"""The two locks by which one process alone serves a database file.

Whoever may *read* a file may hold a lock on it, and the file of an operator may be readable by
others. So a lock that is in the way is looked at: a process that serves the store has locks that
exclude all others, a reader's do not tell more than that it reads. One of the two locks that nobody
else has is enough. It is only where a reader is in the way of both that nobody can tell, or where
one has taken the lock of `FILE-lock` for itself alone, which `flock` lets it do.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING

from guidkeep.errors import StartupError
from guidkeep.system.files import PRIVATE, create_private, open_regular

if TYPE_CHECKING:
    from pathlib import Path

LOCK_BYTE = 0x4000_0400
"""Beyond the bytes that SQLite locks, which are 512 from 0x40000000 on."""
_FORM = "hhqqi4x"
"""The system's `struct flock`."""


class Hold(Enum):
    """What came of the wish for a lock."""

    ALONE = "nobody else has one"
    SHARED = "readers have one too, or may: no process that serves the store"
    NONE = "another process has it for itself alone"


def lock_beside(path: Path, shown: Path) -> tuple[int, Hold]:
    """The descriptor of the file `FILE-lock`, and how it is locked.

    Raises:
        StartupError: somebody else has it for themselves alone.
    """
    beside = path.with_name(f"{path.name}-lock")
    try:
        descriptor = create_private(beside)
    except FileExistsError:
        descriptor = open_regular(beside)
    found = os.fstat(descriptor)
    is_own = found.st_uid == os.geteuid()
    for kind, hold in _ways():
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            if is_own:  # a former version's: whoever can read it can lock it
                os.fchmod(descriptor, PRIVATE)
            return descriptor, hold
    os.close(descriptor)
    if is_own and not found.st_mode & 0o077:
        raise served(shown)
    raise StartupError(
        f"Another process serves the store {shown}, or holds a lock on {beside.name}, which its "
        "owner is not alone to read: one file, one process. Stop that one; if no Guidkeep runs, "
        f"remove {beside.name}."
    )


def _ways() -> list[tuple[int, Hold]]:
    alone = (fcntl.LOCK_EX, Hold.ALONE)
    # Without a lock on the database itself nothing else tells one server from another.
    return [alone, (fcntl.LOCK_SH, Hold.SHARED)] if sys.platform == "linux" else [alone]


def lock_itself(descriptor: int) -> Hold:
    """Locks the database itself, where the system has locks that do not disturb SQLite's."""
    if sys.platform != "linux":
        return Hold.SHARED
    with suppress(BlockingIOError, PermissionError):
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _wanted())
        return Hold.ALONE
    kind, *_ = struct.unpack(_FORM, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _wanted()))
    return Hold.NONE if kind == fcntl.F_WRLCK else Hold.SHARED


def _wanted() -> bytes:
    return struct.pack(_FORM, fcntl.F_WRLCK, os.SEEK_SET, LOCK_BYTE, 1, 0)


def require_one(beside: Hold, itself: Hold, shown: Path) -> None:
    """Refuses the store unless one of the two locks keeps every other process out.

    Raises:
        StartupError: another process serves it, or nobody can tell.
    """
    if itself is Hold.NONE:
        raise served(shown)
    if Hold.ALONE not in (beside, itself):
        raise StartupError(
            f"Can't use the store {shown}: other programs hold locks on it and on the -lock beside "
            "it, so nobody can tell whether another process serves it. End them (lslocks names "
            "them); if no Guidkeep runs, remove the -lock."
        )


def served(shown: Path) -> StartupError:
    """The error of a store that another process has."""
    return StartupError(
        f"Another process serves the store {shown}: one file, one process. "
        "Stop that one, or give this one another --store."
    )
