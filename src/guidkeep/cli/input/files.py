"""What an import reads from, and the files that it keeps beside that."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from guidkeep.cli.output_files import Target, target_of
from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from contextlib import ExitStack

    Options = dict[str, Any]


def opened(name: str, stack: ExitStack) -> IO[bytes]:
    """The file of that name, closed with the stack; `-` is standard input.

    Raises:
        StartupError: it can't be read.
    """
    if name == "-":
        return _standard_input()
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise StartupError(f"{name} can't be read: {error.strerror}.") from error


def beside(path: Path | None, ending: str) -> Path | None:
    """The file that lies beside it, with that ending."""
    return None if path is None else path.with_name(path.name + ending)


def refused_target(options: Options, path: Path | None) -> Target | None:
    """Where refused records go.

    Args:
        options: of the command.
        path: the file that is read; None: it can't be read again.

    Raises:
        StartupError: that can't be written.
    """
    named: str | None = options["refused"]
    if named is None:
        default = beside(path, ".would-be-refused" if options["dry_run"] else ".refused")
        return None if default is None else Target(str(default), path=default)
    try:
        target = target_of(named)
    except StartupError as error:
        raise StartupError(f"--refused: {error}") from error
    there = target.path if target.path is not None and target.path.exists() else None
    if path is not None and there is not None and path.samefile(there):
        raise StartupError(f"--refused: {named} is the file that is read; name another.")
    return target


def _standard_input() -> IO[bytes]:
    """Standard input by a buffer of its own.

    Python waits for that of `sys.stdin` when it ends, and a thread that still reads would hold it.
    """
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except io.UnsupportedOperation:  # something else was put in its place
        return sys.stdin.buffer
