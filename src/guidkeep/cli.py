"""The command: `guidkeep serve`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from guidkeep import __version__, logs, settings
from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0, or 2 if it can't start as it was told to."""
    parsed = vars(_parser().parse_args(arguments))
    try:
        chosen = settings.load(parsed)
        logs.configure(form=chosen.log_format, level=chosen.log_level)
        from guidkeep import server  # noqa: PLC0415 - so that --help does not wait for it

        server.run(chosen)
    except StartupError as error:
        print(f"guidkeep: {error}", file=sys.stderr)  # noqa: T201 - it is a command
        return EXIT_USAGE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="guidkeep",
        description="Keeps GUIDs and their metadata until they expire.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"guidkeep {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve = commands.add_parser(
        "serve",
        help="serve the API over HTTP",
        description="Serves the API over HTTP. In brackets: the default, and the environment "
        "variable that does the same as the flag.",
        allow_abbrev=False,
    )
    settings.add_flags(serve)
    return parser
