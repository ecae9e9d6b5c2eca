"""The command: `guidkeep serve`, `guidkeep copy`, and those that talk to a running service."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from guidkeep import __version__, logs, settings
from guidkeep.commands import arguments, exits
from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code, of which `guidkeep.commands.exits` has the table."""
    parsed = _parsed(arguments)
    run: Callable[[dict[str, Any]], int] = parsed.pop("run")
    try:
        return run(parsed)
    except StartupError as error:
        print(f"guidkeep: {error}", file=sys.stderr)  # noqa: T201 - it is a command
        return exits.USAGE


def _parsed(arguments: Sequence[str] | None) -> dict[str, Any]:
    """What the words say; members and GUIDs may stand before options and after them."""
    parser = _parser()
    known, left = parser.parse_known_args(arguments)
    parsed = vars(known)
    words = parsed.get("words", parsed.get("guids"))
    if left:
        if words is None or any(word.startswith("-") and word != "-" for word in left):
            parser.error(f"unrecognized arguments: {' '.join(left)}")
        words += left
    return parsed


def _serve(flags: dict[str, Any]) -> int:
    chosen = settings.load(flags)
    logs.configure(form=chosen.log_format, level=chosen.log_level)
    # Imported here so that --help does not wait for it.
    if chosen.workers > 1:
        from guidkeep import supervisor  # noqa: PLC0415

        supervisor.run(chosen)
    else:
        from guidkeep import server  # noqa: PLC0415

        server.run(chosen)
    return 0


def _copy(options: dict[str, Any]) -> int:
    from guidkeep import transfer  # noqa: PLC0415 - as above

    logs.configure(form="auto", level="warning")
    return transfer.run(transfer.Transfer(**options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="guidkeep",
        description="Keeps GUIDs and their metadata until they expire.",
        epilog=arguments.ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"guidkeep {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_serve(commands)
    arguments.add(commands)
    _add_copy(commands)
    _add_completion(commands)
    return parser


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve the API over HTTP",
        description="Serves the API over HTTP. In brackets: the default, and the environment "
        "variable that does the same as the flag.",
        allow_abbrev=False,
    )
    serve.set_defaults(run=_serve)
    settings.add_flags(serve)


def _add_copy(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    copy = commands.add_parser(
        "copy",
        help="copy all records from one store to another",
        description="Copies all live records from one store to another, then compares the two. "
        "Done again, it goes on where it was interrupted, and brings over what changed since. What "
        "is newer in the target stays. The exit code is 0 if both are the same at the end.",
        allow_abbrev=False,
    )
    copy.set_defaults(run=_copy)
    copy.add_argument(
        "--from", dest="source", metavar="URL", required=True, help="The store that is read."
    )
    copy.add_argument(
        "--to", dest="target", metavar="URL", required=True, help="The store that is written."
    )
    copy.add_argument(
        "--delete",
        action="store_true",
        help="Delete in the target what the source has not. Not while others write to the target.",
    )
    copy.add_argument("--verify-only", action="store_true", help="Compare, and write nothing.")


def _completion(options: dict[str, Any]) -> int:
    from guidkeep.commands import completion, running  # noqa: PLC0415 - as above

    def show() -> int:
        print(completion.script(_parser(), options["shell"]))  # noqa: T201 - it is a command
        return 0

    return running.guarded(show)


def _add_completion(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    completion = commands.add_parser(
        "completion",
        help="print what makes a shell complete the commands",
        description="Prints what makes a shell complete the commands and their options.",
        epilog=arguments.COMPLETION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    completion.set_defaults(run=_completion)
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="Which shell it is.")
