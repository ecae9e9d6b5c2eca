"""`guidkeep completion`: a script with which a shell completes the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import shtab

from guidkeep.cli import exits, parser, runner

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def run(options: dict[str, Any]) -> int:
    """Prints the script; returns the exit code."""

    def show() -> int:
        print(script(parser.made(), options["shell"]))  # noqa: T201 - it is a command
        return exits.DONE

    return runner.guarded(show)


def script(made: argparse.ArgumentParser, shell: str) -> str:
    """Returns the script for that shell, made from the parser."""
    for action in _actions(made):
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
    return str(shtab.complete(made, shell))


def _actions(made: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in made._actions:  # noqa: SLF001 - argparse has no other way to see them
        yield action
        commands: Any = action.choices
        if isinstance(commands, dict):
            for command in commands.values():
                yield from _actions(command)
