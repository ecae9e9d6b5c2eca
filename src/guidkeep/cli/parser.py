"""The parser of the command line, made from the table of commands."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING, Any

from guidkeep.cli import exits, help_texts
from guidkeep.cli.command import Argument, Command, OneOf
from guidkeep.cli.commands import COMMANDS
from guidkeep.system.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    Group = argparse._ActionsContainer  # noqa: SLF001 - no other name for parsers and groups

WIDTH = 88
"""Characters in a line of help."""
COMMAND = "command"
"""The key of the command among the options."""


def parsed(words: Sequence[str] | None) -> tuple[Command, dict[str, Any]]:
    """Returns the command and its options.

    Members and GUIDs may stand before and after options.

    Args:
        words: the command line; None for the process' own.

    Raises:
        SystemExit: the words are wrong, or help or the version was printed.
    """
    parser = made()
    known, left = parser.parse_known_args(words)
    options = vars(known)
    command: Command = options.pop(COMMAND)
    if left:
        many = next((row.name for row in command.each if row.count in ("*", "+")), None)
        if many is None or any(word.startswith("-") and word != "-" for word in left):
            parser.error(f"unrecognized arguments: {' '.join(left)}")
        options[many] += left
    return command, options


def made() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = _parser(
        argparse.ArgumentParser,
        prog="guidkeep",
        description="Keeps GUIDs and their metadata until they expire.",
        epilog=f"{help_texts.ABOUT}\n{exits.listed(exits.MEANINGS)}",
    )
    parser.add_argument("--version", action="version", version=f"guidkeep {VERSION}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        _add_command(commands, command)
    return parser


def _add_command(commands: Any, command: Command) -> None:
    examples = "\n".join(f"  {line}" for line in command.examples)
    parts = [text.strip("\n") for text in command.sections]
    parts += [f"Examples:\n{examples}", exits.listed(command.exits)]
    parser = _parser(
        commands.add_parser,
        name=command.name,
        help=command.summary,
        description=textwrap.fill(command.about, WIDTH),
        epilog="\n\n".join(parts),
    )
    parser.set_defaults(**{COMMAND: command})
    for row in command.arguments:
        if isinstance(row, OneOf):
            group = parser.add_mutually_exclusive_group()
            for argument in row.options:
                _add_argument(group, argument)
        else:
            _add_argument(parser, row)


def _parser(make: Any, **given: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = make(
        **given, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    return parser


def _add_argument(group: Group, argument: Argument) -> None:
    how: dict[str, Any] = {"help": argument.about.replace("%", "%%")}
    is_option = argument.name.startswith("--")
    if is_option and argument.metavar is None and argument.choices is None:
        constant = argument.constant or True
        default = None if argument.constant else False
        how |= {"action": "store_const", "const": constant, "default": default}
    else:
        how |= {"metavar": argument.metavar, "choices": argument.choices}
        how |= {"type": argument.read, "nargs": argument.count, "default": argument.default}
    if argument.key:
        how["dest"] = argument.key
    if argument.is_required:
        how["required"] = True
    group.add_argument(argument.name, **how)
