"""The command `guidkeep`: finds the command in the table and runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from guidkeep import settings
from guidkeep.cli import SERVE, exits
from guidkeep.cli.output import complain, failed
from guidkeep.cli.parser import parsed
from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code (see `guidkeep.cli.exits`)."""
    _replace_closed_streams()
    try:
        command, options = parsed(words)
    except SystemExit:  # --help and --version have printed their text
        try:
            sys.stdout.flush()
        except OSError as error:
            return failed(error)
        raise
    if command.name != SERVE:  # which logs these warnings
        _warn_of_variables()
    try:
        return command.function()(options)
    except StartupError as error:
        complain(str(error))
        return exits.USAGE


def _warn_of_variables() -> None:
    """Warns about variables that begin with GUIDKEEP_ but are not settings."""
    for name, nearest in settings.unknown_variables():
        meant = f"; {nearest} is one" if nearest else ""
        complain(f"Warning: {name} is not a variable of Guidkeep{meant}.")


def _replace_closed_streams() -> None:
    """Replaces a standard stream that was closed before the start (`<&-`) by the null device."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - open until the end
