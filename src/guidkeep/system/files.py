"""Files that are Guidkeep's own: nobody else reads them, and no planted link leads them astray.

They hold metadata, GUIDs, or what predicts GUIDs, so a new one has the mode 0600 whatever the
umask allows. The folder may be one in which other users can make files, such as /tmp: whoever
knows the name may have put a link, a FIFO or a file of their own there. So a name is not followed,
and what is opened is looked at before it is used.

This is for the files beside those that a user names. What a user names may be a link or a device,
for the user says so.
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
"""The owner reads and writes; nobody else does either."""


def create_private(path: str | Path) -> int:
    """A descriptor, to read and write, of a file that was not there before.

    Raises:
        FileExistsError: something is there, be it a link that leads nowhere.
        OSError: it can't be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, PRIVATE)
    os.fchmod(descriptor, PRIVATE)  # the umask may have taken away what the owner needs
    return descriptor


def open_regular(path: str | Path) -> int:
    """A descriptor, to read and write, of a regular file that is there; no link is followed.

    Raises:
        FileNotFoundError: nothing is there.
        OSError: it is something else, or may not be read and written. The message says which.
    """
    # Nobody may read from a FIFO: without O_NONBLOCK it would be waited for.
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


_NOT_REGULAR = "It is no regular file"
_WORDS = {
    errno.ELOOP: "It is a symbolic link",
    errno.ENXIO: _NOT_REGULAR,
    errno.ENODEV: _NOT_REGULAR,
    errno.EISDIR: "It is a folder",
}


def open_private(path: str | Path, mode: Literal["xb", "wb", "ab", "r+b"]) -> IO[bytes]:
    """Opens a file of Guidkeep's own, with the modes of `open`; a new one is private.

    Raises:
        FileExistsError: with `xb`, something is there.
        FileNotFoundError: with `r+b`, nothing is there.
        OSError: what is there is a link, no regular file, has another name too, or belongs to
            another user: nobody knows whose content would be read, or written over.
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
    """Puts a private file with that content in the place of whatever has the name.

    It is whole whenever the process dies: the former one, or the new one. A link there is
    replaced, not followed.

    Raises:
        OSError: it can't be written; it is `path` that the error names.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        with suppress(FileNotFoundError):
            beside.unlink()  # one that a killed process left, or that somebody planted
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
