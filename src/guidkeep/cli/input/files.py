"""The input of an import, and the files beside it."""

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
    """Opens the file of that name, to be closed by the stack; `-` is standard input.

    Raises:
        StartupError: it cannot be read.
    """
    if name == "-":
        return _standard_input()
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise StartupError(f"{name} can't be read: {error.strerror}.") from error


def beside(path: Path | None, ending: str) -> Path | None:
    """Returns the path beside `path` with that suffix; None for None."""
    return None if path is None else path.with_name(path.name + ending)


def refused_target(options: Options, path: Path | None) -> Target | None:
    """Returns the target for refused records; None for standard error.

    Args:
        options: the command's options.
        path: the input file; None if it cannot be read again.

    Raises:
        StartupError: the target cannot be written.
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
        raise StartupError(f"--refused: {named} is the input file; name another.")
    return target


def _standard_input() -> IO[bytes]:
    """Returns standard input with a separate buffer.

    At exit Python waits for the buffer of `sys.stdin`, which a reading thread would block.
    """
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except io.UnsupportedOperation:  # sys.stdin was replaced
        return sys.stdin.buffer
