"""The command: `guidkeep serve`, `guidkeep copy`, and those that talk to a running service."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guidkeep import __version__, settings
from guidkeep.cli import arguments, exits, texts
from guidkeep.cli.output import complain, failed
from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code, of which `guidkeep.cli.exits` has the table."""
    _open_what_is_closed()
    try:
        parsed = _parsed(arguments)
    except SystemExit:  # --help and --version have said what they say
        try:
            sys.stdout.flush()
        except OSError as error:
            return failed(error)
        raise
    run: Callable[[dict[str, Any]], int] = parsed.pop("run")
    if run is not _serve:  # which has a log for it
        _tell_of_variables()
    try:
        return run(parsed)
    except StartupError as error:
        complain(str(error))
        return exits.USAGE


def _tell_of_variables() -> None:
    """Warns of variables that may be meant for Guidkeep, and are none of its own."""
    for name, nearest in settings.unknown_variables():
        meant = f"; {nearest} is one" if nearest else ""
        complain(f"Warning: {name} is no variable of Guidkeep's{meant}.")


def _open_what_is_closed() -> None:
    """A standard stream that was closed before the start, as by `<&-`, becomes the null device."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - as long as it runs


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
    # The others, and --help, do not wait for what only this one takes.
    import structlog  # noqa: PLC0415 - see above

    from guidkeep import logs  # noqa: PLC0415 - see above
    from guidkeep.server import stopping  # noqa: PLC0415 - see above

    with stopping.before_the_loop():
        chosen = settings.load(flags)
        logs.configure(form=chosen.log_format, level=chosen.log_level, guids=chosen.log_guids)
        log = structlog.get_logger("guidkeep.server")
        for name, nearest in settings.unknown_variables():
            log.warning("unknown variable", variable=name, nearest=nearest)
        try:
            if chosen.workers > 1:
                from guidkeep.server import supervisor  # noqa: PLC0415 - see above

                supervisor.run(chosen)
            else:
                from guidkeep.server import server  # noqa: PLC0415 - see above

                server.run(chosen)
        except StartupError:
            raise
        except Exception:
            log.exception("crashed")
            return exits.FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="guidkeep",
        description="Keeps GUIDs and their metadata until they expire.",
        epilog=texts.ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"guidkeep {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_serve(commands)
    arguments.add(commands)
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


def _completion(options: dict[str, Any]) -> int:
    from guidkeep.cli import completion, running  # noqa: PLC0415 - as above

    def show() -> int:
        print(completion.script(_parser(), options["shell"]))  # noqa: T201 - it is a command
        return 0

    return running.guarded(show)


def _add_completion(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    completion = commands.add_parser(
        "completion",
        help="print what makes a shell complete the commands",
        description="Prints what makes a shell complete the commands and their options.",
        epilog=texts.COMPLETION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    completion.set_defaults(run=_completion)
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="Which shell it is.")
