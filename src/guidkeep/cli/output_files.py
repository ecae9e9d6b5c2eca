"""The files that commands write to, as the user named them.

- `-` and `/dev/stdout` are standard output; `/dev/fd/N` is that descriptor.
- A link is followed and kept.
- An existing file that is not regular, such as a FIFO, is written to directly.
- A regular file is written under another name and renamed when it is complete. It is replaced only
  with the user's consent, and keeps its mode and, if allowed, its owner. A new file is private.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from guidkeep.errors import StartupError
from guidkeep.system.files import PRIVATE

STANDARD_OUTPUT = "-"
_LINKS = 40
"""The longest chain of links, as in the system."""
_descriptor = re.compile(r"/(?:dev|proc/(?:self|thread-self))/fd/([0-9]{1,9})").fullmatch
_STREAMS = {STANDARD_OUTPUT: 1, "/dev/stdout": 1, "/dev/stderr": 2}


class Target(NamedTuple):
    """The target of writing; one of descriptor, special and path is not None.

    Attributes:
        name: the name for messages.
        descriptor: a descriptor of this process.
        special: a file that is not regular.
        path: a regular file, existing or new; not a link.
    """

    name: str
    descriptor: int | None = None
    special: Path | None = None
    path: Path | None = None

    def open(self) -> IO[bytes]:
        """Opens a descriptor or a special file for writing; not for regular files.

        Raises:
            OSError: it cannot be written to.
        """
        if self.descriptor is not None:
            return os.fdopen(os.dup(self.descriptor), "wb")
        assert self.special is not None  # noqa: S101 - for mypy: a regular file is not opened so
        return os.fdopen(os.open(self.special, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC), "wb")


def target_of(name: str) -> Target:
    """Returns the target that a name leads to.

    Raises:
        StartupError: it cannot be written.
    """
    if not name:
        raise StartupError(f"The name of the file is empty; {STANDARD_OUTPUT} is standard output.")
    if (descriptor := _descriptor_of(name)) is not None:
        return Target(name, descriptor=descriptor)
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116 - Path would drop a slash at its end
    except FileNotFoundError:
        if name.endswith("/"):
            raise StartupError(f"{name} is not a file: its name ends in a slash.") from None
        mode = stat.S_IFREG
    except OSError as error:
        raise StartupError(f"{name} can't be written: {error.strerror}.") from error
    if stat.S_ISDIR(mode):
        raise StartupError(f"{name} is a folder: name a file in it.")
    if stat.S_ISBLK(mode):
        raise StartupError(f"{name} is a disk, which would be overwritten; pipe the output to it.")
    path = Path(name)
    if not stat.S_ISREG(mode):
        return Target(name, special=path)
    return Target(name, path=path.resolve() if path.is_symlink() else path)


def require_consent(target: Target, *, is_forced: bool) -> None:
    """Asks on a terminal whether an existing file may be replaced.

    Raises:
        StartupError: it may not.
    """
    if is_forced or target.path is None or not target.path.exists():
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise StartupError(f"{target.name} already exists: --force replaces it.")
    sys.stderr.write(f"{target.name} already exists. Replace it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise StartupError(f"{target.name} is unchanged.")


def put(part: IO[bytes], beside: Path, path: Path) -> None:
    """Renames a complete file to its final name, durably, with the mode of the file it replaces.

    Args:
        part: the file, open for writing.
        beside: its present path, in the same folder.
        path: its final path.

    Raises:
        OSError: this failed, and the former file stays.
    """
    part.flush()
    os.fchmod(part.fileno(), _mode_for(part, path))
    os.fsync(part.fileno())
    beside.replace(path)
    with suppress(OSError):  # the file is in place; some folders can't be opened or synced
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _mode_for(part: IO[bytes], path: Path) -> int:
    """Returns the mode for a file that replaces another; copies that one's owner and group."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return PRIVATE
    mode = stat.S_IMODE(there.st_mode) & 0o777
    with suppress(OSError):
        os.fchown(part.fileno(), there.st_uid, -1)
    try:
        os.fchown(part.fileno(), -1, there.st_gid)
    except OSError:  # the former group's permissions are not for our group
        mode &= 0o707
    return mode


def _descriptor_of(name: str) -> int | None:
    """Returns the descriptor of this process that a name or its links stand for; None if none.

    It is not opened by its name: a file would then be written from its first byte, over the shell's
    earlier output.
    """
    for _ in range(_LINKS):
        if name in _STREAMS:
            return _STREAMS[name]
        if found := _descriptor(os.path.normpath(name)):
            return int(found[1])
        if not os.path.islink(name):  # noqa: PTH114 - as above
            return None
        name = os.path.join(os.path.dirname(name), os.readlink(name))  # noqa: PTH115, PTH118, PTH120 - as above
    return None
