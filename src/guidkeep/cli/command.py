"""What a row of the table of commands says.

`commands.py` has the rows, `parser.py` makes argparse's parser from them.
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
    """An argument of a command: a word in its place, as `FILE`, or an option, as `--user NAME`.

    An option without a metavar and without choices is a switch.

    Attributes:
        name: the key of its value in the options, or, with two hyphens, the option.
        help: one sentence.
        metavar: the placeholder of its value.
        default: its value where it is left out, as one would write it; help shows it.
        without: what help says of that in place of a default.
        choices: the values it may have.
        read: makes the value of the text; raises `argparse.ArgumentTypeError`.
        count: how many words it takes: one, `?` one or none, `*` any number, `+` at least one.
            `*` and `+` also take words that stand behind options.
        key: the key of an option's value, where it is not the option's name.
        constant: the value that a switch stands for, where that is not True.
        is_required: of an option.
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
        """The sentence, and in brackets what holds where the argument is left out."""
        left_out = self.without or self.default
        return f"{self.help} [{left_out}]" if left_out else self.help


class OneOf(NamedTuple):
    """Options of which at most one may be given."""

    options: tuple[Argument, ...]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command.

    Attributes:
        name: what users write.
        summary: a line in the list of commands.
        about: what it does, in sentences.
        run: `MODULE:FUNCTION` below `guidkeep.cli`: takes the options, returns the exit code.
        arguments: all it takes.
        sections: what help says at length, each a text of lines.
        examples: lines of shell.
        exits: the exit codes that it may end with.
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
        """What runs it; imported here, so that neither help nor other commands wait for it."""
        module, _, name = self.run.partition(":")
        found: Callable[[Options], int] = getattr(import_module(f"guidkeep.cli.{module}"), name)
        return found

    @property
    def each(self) -> tuple[Argument, ...]:
        """The arguments, those of a `OneOf` among them."""
        return tuple(
            argument
            for row in self.arguments
            for argument in (row.options if isinstance(row, OneOf) else (row,))
        )


def up_to(most: int) -> Callable[[str], int]:
    """Reads a number from 1 to `most`."""

    def read(text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not is_number or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {most}")
        return int(text)

    return read
