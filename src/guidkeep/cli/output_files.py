"""What a command writes to, as the user named it.

- `-` is standard output, and so is `/dev/stdout`, as `/dev/fd/N` is that descriptor.
- A link is followed, and stays.
- What is there and is no regular file, such as a FIFO, is written to as it is.
- A regular file is written beside its place and put there when it is whole. The one in whose place
  it comes keeps its mode and, as far as that is allowed, its owner, and is replaced only if the
  user says so. A new one is private.
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
"""Links that lead from one to the next at most, as the system has it."""
_descriptor = re.compile(r"/(?:dev|proc/(?:self|thread-self))/fd/([0-9]{1,9})").fullmatch
_STREAMS = {STANDARD_OUTPUT: 1, "/dev/stdout": 1, "/dev/stderr": 2}


class Target(NamedTuple):
    """What is written to; one of the three is not None.

    Attributes:
        name: as it is shown.
        descriptor: one of this process.
        special: what is no regular file.
        path: of a regular file, or of one that is to be made; no link.
    """

    name: str
    descriptor: int | None = None
    special: Path | None = None
    path: Path | None = None

    def open(self) -> IO[bytes]:
        """Opens what is written straight into: not a regular file.

        Raises:
            OSError: it can't be written to.
        """
        if self.descriptor is not None:
            return os.fdopen(os.dup(self.descriptor), "wb")
        assert self.special is not None  # noqa: S101 - for mypy: a regular file is not opened so
        return os.fdopen(os.open(self.special, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC), "wb")


def target_of(name: str) -> Target:
    """What that name leads to.

    Raises:
        StartupError: to nothing that can be written.
    """
    if not name:
        raise StartupError(f"The name of the file is empty; {STANDARD_OUTPUT} is standard output.")
    if (descriptor := _descriptor_of(name)) is not None:
        return Target(name, descriptor=descriptor)
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116 - Path would drop a slash at its end
    except FileNotFoundError:
        if name.endswith("/"):
            raise StartupError(f"{name} is no file: its name ends in a slash.") from None
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


def require_leave(target: Target, *, is_forced: bool) -> None:
    """Asks on a terminal whether the file that is there may be replaced.

    Raises:
        StartupError: it may not.
    """
    if is_forced or target.path is None or not target.path.exists():
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise StartupError(f"{target.name} is there already: --force replaces it.")
    sys.stderr.write(f"{target.name} is there already. Replace it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise StartupError(f"{target.name} stays as it is.")


def put(part: IO[bytes], beside: Path, path: Path) -> None:
    """Puts a file that is whole in its place, durably, with the mode of the one that is there.

    Args:
        part: that file, open for writing.
        beside: where it is, in the same folder.
        path: its place.

    Raises:
        OSError: that can't be done; then the one that is there stays.
    """
    part.flush()
    os.fchmod(part.fileno(), _mode_for(part, path))
    os.fsync(part.fileno())
    beside.replace(path)
    with suppress(OSError):  # it is there; some folders can't be opened, or not synced
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _mode_for(part: IO[bytes], path: Path) -> int:
    """The mode that a file has in the place of another; takes over that one's owner and group."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return PRIVATE
    mode = stat.S_IMODE(there.st_mode) & 0o777
    with suppress(OSError):
        os.fchown(part.fileno(), there.st_uid, -1)
    try:
        os.fchown(part.fileno(), -1, there.st_gid)
    except OSError:  # what its group may do is not for ours
        mode &= 0o707
    return mode


def _descriptor_of(name: str) -> int | None:
    """The descriptor of this process that a name stands for, by whatever links; None: for none.

    It is not opened by its name: that of a file would begin at the file's first byte, and write
    over what the shell has put there.
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
