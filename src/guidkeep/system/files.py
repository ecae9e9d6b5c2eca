"""Guidkeep's private files: other users can't read them or redirect them with a planted link.

They hold metadata, GUIDs, or data that predicts GUIDs, so a new one has mode 0600 regardless of the
umask. Other users may be able to make files in the same folder, such as /tmp, and may have put a
link, a FIFO or their own file under the expected name. So links are not followed, and a file is
checked after it is opened.

These rules are for files that Guidkeep makes beside the files that a user names. A file that a user
names may be a link or a device.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE = 0o600
"""Only the owner may read and write."""


def create_private(path: str | Path) -> int:
    """Creates a file; returns a descriptor for reading and writing.

    Raises:
        FileExistsError: the name is taken, if only by a dangling link.
        OSError: the file can't be created.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, PRIVATE)
    os.fchmod(descriptor, PRIVATE)  # the umask may have taken away what the owner needs
    return descriptor


def open_regular(path: str | Path) -> int:
    """Opens a regular file; returns a descriptor for reading and writing. Follows no link.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it is not a regular file, or may not be read and written. The message says which.
    """
    # Without O_NONBLOCK, opening a FIFO would wait for its other end.
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise OSError(error.errno, _WORDS.get(error.errno or 0, error.strerror), path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, _NOT_REGULAR, path)
    os.set_blocking(descriptor, True)
    return descriptor


_NOT_REGULAR = "It is not a regular file"
_WORDS = {
    errno.ELOOP: "It is a symbolic link",
    errno.ENXIO: _NOT_REGULAR,
    errno.ENODEV: _NOT_REGULAR,
    errno.EISDIR: "It is a folder",
}


def open_private(path: str | Path, mode: Literal["xb", "wb", "ab", "r+b"]) -> IO[bytes]:
    """Opens a private file with a mode of `open`, creating it as the mode says.

    Raises:
        FileExistsError: with `xb`, the name is taken.
        FileNotFoundError: with `r+b`, there is no such file.
        OSError: it is a link or not a regular file, has a second name, or belongs to another user.
            Another user's content could be read or overwritten.
    """
    descriptor = create_private(path) if mode == "xb" else _opened(path, may_make=mode != "r+b")
    try:
        if mode == "wb":
            os.ftruncate(descriptor, 0)
        elif mode == "ab":
            os.lseek(descriptor, 0, os.SEEK_END)
        return os.fdopen(descriptor, "r+b")
    except BaseException:
        os.close(descriptor)
        raise


def replace_private(path: Path, content: bytes) -> None:
    """Replaces the file at `path`, if any, by a private one with that content.

    It is atomic: if the process dies, the former file or the new one is there, complete. A link is
    replaced, not followed.

    Raises:
        OSError: the file can't be written; the error names `path`.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        with suppress(FileNotFoundError):
            beside.unlink()  # left by a killed process, or planted
        with open_private(beside, "xb") as file:
            file.write(content)
        beside.replace(path)
    except OSError as error:
        error.filename = str(path)
        raise


def _opened(path: str | Path, *, may_make: bool) -> int:
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        if not may_make:
            raise
        return create_private(path)
    found = os.fstat(descriptor)
    wrong = None
    if found.st_uid != os.geteuid():
        wrong = "It belongs to another user"
    elif found.st_nlink != 1:
        wrong = "It has another name too (a hard link)"
    if wrong:
        os.close(descriptor)
        raise OSError(errno.EPERM, wrong, path)
    return descriptor
