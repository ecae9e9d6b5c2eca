"""The reference of the commands and their exit codes, from `guidkeep.cli.commands`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from guidkeep.cli import SERVE, exits
from guidkeep.cli.command import OneOf
from guidkeep.cli.commands import COMMANDS

if TYPE_CHECKING:
    from guidkeep.cli.command import Argument, Command

SETTINGS = "Its flags are [the settings](operating.md#settings)."
"""The text instead of a table for the command whose arguments are the settings."""


def exit_codes() -> str:
    """Returns the table of exit codes."""
    rows = (f"| {code} | {meaning} |" for code, meaning in exits.MEANINGS.items())
    return "\n".join(["| code | meaning |", "|--:|---|", *rows])


def reference() -> str:
    """Returns a chapter for each command."""
    return "\n\n".join(_chapter(command) for command in COMMANDS)


def _chapter(command: Command) -> str:
    codes = ", ".join(str(code) for code in sorted(command.exits))
    parts = [
        f"## `guidkeep {command.name}`",
        _prose(command.about),
        f"```sh\n{_usage(command)}\n```",
        SETTINGS if command.name == SERVE else _arguments(command),
        *(_section(text) for text in command.sections),
        "```sh\n" + "\n".join(command.examples) + "\n```",
        f"[Exit codes](#exit-codes): {codes}.",
    ]
    return "\n\n".join(parts)


def _usage(command: Command) -> str:
    words = ["guidkeep", command.name]
    if command.name == SERVE:
        return " ".join([*words, "[--SETTING VALUE ...]"])
    placed = [argument for argument in command.each if not argument.name.startswith("--")]
    required = [argument for argument in command.each if argument.is_required]
    words += [_written(argument) for argument in required]
    words += ["[OPTION ...]"] if len(placed) + len(required) < len(command.each) else []
    for argument in placed:
        name = argument.metavar or "|".join(argument.choices or ())
        many = {"*": f"[{name} ...]", "+": f"{name} ...", "?": f"[{name}]", None: name}
        words.append(many[argument.count])
    return " ".join(words)


def _arguments(command: Command) -> str:
    lines = ["| argument | what it says |", "|---|---|"]
    for row in command.arguments:
        options = row.options if isinstance(row, OneOf) else (row,)
        for argument in options:
            others = [f"`{other.name}`" for other in options if other is not argument]
            apart = f" Not with {', '.join(others)}." if others else ""
            lines.append(f"| `{_written(argument)}` | {argument.about}{apart} |")
    return "\n".join(lines)


def _written(argument: Argument) -> str:
    value = argument.metavar or "\\|".join(argument.choices or ())
    return f"{argument.name} {value}".strip() if argument.name.startswith("--") else value


def _section(text: str) -> str:
    """Returns a section as Markdown: a listing keeps its lines; prose becomes a paragraph."""
    if re.search("^  ", text, re.MULTILINE):
        title, _, listing = text.strip().partition("\n")
        return f"{title}\n\n```text\n{listing}\n```"
    return _prose(" ".join(text.split()))


def _prose(text: str) -> str:
    return re.sub(r"(?<![\w`])(--[a-z-]+)", r"`\1`", text)
