"""`guidkeep completion`: what makes a shell complete the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import shtab

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for that shell, made from the parser."""
    for action in _actions(parser):
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
    return str(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to see them
        yield action
        commands: Any = action.choices
        if isinstance(commands, dict):
            for command in commands.values():
                yield from _actions(command)
