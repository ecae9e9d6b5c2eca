"""The two locks that keep a second process from serving a database file.

Any process that may *read* a file may lock it, and an operator may let others read the file. So the
kind of an existing lock is checked: a process that serves the store holds exclusive locks, a reader
usually holds shared ones. It is enough to hold one of the two locks exclusively. Two cases cannot
be decided: readers hold locks on both files, or a reader has locked `FILE-lock` exclusively, which
`flock` allows.
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
    """How this process holds a lock."""

    ALONE = "no other process has one"
    SHARED = "readers have one too, or may: no process that serves the store"
    NONE = "another process holds it exclusively"


def lock_beside(path: Path, shown: Path) -> tuple[int, Hold]:
    """Returns the descriptor of the file `FILE-lock`, and how it is locked.

    Raises:
        StartupError: another process holds the lock exclusively.
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
            if is_own:  # a former version's file may be readable, and its readers could lock it
                os.fchmod(descriptor, PRIVATE)
            return descriptor, hold
    os.close(descriptor)
    if is_own and not found.st_mode & 0o077:
        raise served(shown)
    raise StartupError(
        f"Another process serves the store {shown}, or holds a lock on {beside.name}, which other "
        "users may read: one file, one process. Stop that process; if no Guidkeep runs, "
        f"remove {beside.name}."
    )


def _ways() -> list[tuple[int, Hold]]:
    alone = (fcntl.LOCK_EX, Hold.ALONE)
    # Without a lock on the database itself, a shared lock would not keep a second server out.
    return [alone, (fcntl.LOCK_SH, Hold.SHARED)] if sys.platform == "linux" else [alone]


def lock_itself(descriptor: int) -> Hold:
    """Locks the database itself, if the system has locks that do not disturb SQLite's."""
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
    """Refuses the store unless one of the two locks is exclusive.

    Raises:
        StartupError: another process serves the store, or the locks do not show whether one does.
    """
    if itself is Hold.NONE:
        raise served(shown)
    if Hold.ALONE not in (beside, itself):
        raise StartupError(
            f"Can't use the store {shown}: other programs hold locks on it and on its -lock file, "
            "so Guidkeep can't tell whether another process serves it. End these programs (lslocks "
            "lists them); if no Guidkeep runs, remove the -lock file."
        )


def served(shown: Path) -> StartupError:
    """Returns the error for a store that another process serves."""
    return StartupError(
        f"Another process serves the store {shown}: one file, one process. "
        "Stop that process, or give this one another --store."
    )
