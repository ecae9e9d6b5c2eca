"""The types of the rows in the table of commands.

`commands.py` has the rows; `parser.py` makes argparse's parser from them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    Options = dict[str, Any]


@dataclass(frozen=True)
class Argument:
    """An argument of a command: positional, as `FILE`, or an option, as `--user NAME`.

    An option without a metavar and without choices is a switch.

    Attributes:
        name: the key of its value in the options, or, with two hyphens, the option.
        help: one sentence.
        metavar: the placeholder for its value.
        default: its default value, as text; help shows it.
        without: the text that help shows in place of a default.
        choices: the values it may have.
        read: converts the text to the value; raises `argparse.ArgumentTypeError`.
        count: the number of words it takes: one, `?` one or none, `*` any number, `+` at least one.
            `*` and `+` also take words after options.
        key: the key of an option's value, if it is not the option's name.
        constant: the value of a switch, if it is not True.
        is_required: whether an option must be given.
    """

    name: str
    help: str
    metavar: str | None = None
    default: str | None = None
    without: str | None = None
    choices: tuple[str, ...] | None = None
    read: Callable[[str], Any] | None = None
    count: Literal["?", "*", "+"] | None = None
    key: str | None = None
    constant: str | None = None
    is_required: bool = False

    @property
    def about(self) -> str:
        """The help sentence, with the default in brackets."""
        left_out = self.without or self.default
        return f"{self.help} [{left_out}]" if left_out else self.help


class OneOf(NamedTuple):
    """Options of which at most one may be given."""

    options: tuple[Argument, ...]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command.

    Attributes:
        name: the word on the command line.
        summary: one line for the list of commands.
        about: a description in sentences.
        run: `MODULE:FUNCTION` below `guidkeep.cli`: takes the options, returns the exit code.
        arguments: its arguments.
        sections: further texts for help, each of several lines.
        examples: shell commands.
        exits: its possible exit codes.
    """

    name: str
    summary: str
    about: str
    run: str
    exits: tuple[int, ...]
    arguments: tuple[Argument | OneOf, ...] = ()
    sections: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    def function(self) -> Callable[[Options], int]:
        """Returns its function; imported here, so that help and other commands stay quick."""
        module, _, name = self.run.partition(":")
        found: Callable[[Options], int] = getattr(import_module(f"guidkeep.cli.{module}"), name)
        return found

    @property
    def each(self) -> tuple[Argument, ...]:
        """The arguments, including those of each `OneOf`."""
        return tuple(
            argument
            for row in self.arguments
            for argument in (row.options if isinstance(row, OneOf) else (row,))
        )


def up_to(most: int) -> Callable[[str], int]:
    """Returns a function that reads a number from 1 to `most`."""

    def read(text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not is_number or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {most}")
        return int(text)

    return read
