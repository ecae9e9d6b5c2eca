"""The output of commands: tables for people, JSON for programs."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TextIO

from guidkeep.cli import exits
from guidkeep.errors import StartupError
from guidkeep.jsontext import on_one_line, parse_object
from guidkeep.misspelt import STORED
from guidkeep.record import instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from guidkeep.client import Record
    from guidkeep.jsontext import Member

FORMAT_VARIABLE = "GUIDKEEP_FORMAT"
SHORT = 40
"""Characters of a user's name in a table of records."""

ACCENT = "cyan"
"""The colour of names and bars."""

Form = Literal["table", "json"]


class Output:
    """Standard output.

    Args:
        form: a table or JSON; None for `GUIDKEEP_FORMAT`, or else a table on a terminal.
    """

    def __init__(self, form: Form | None = None) -> None:
        self.stream = sys.stdout
        self.is_table = (form or _form_of(self.stream)) == "table"
        if isinstance(self.stream, io.TextIOWrapper):
            if self.is_table:
                self.stream.reconfigure(errors="backslashreplace")
            else:
                self.stream.reconfigure(encoding="utf-8")  # RFC 8259, in any locale

    def line(self, text: str) -> None:
        """Prints a line unchanged."""
        print(text, file=self.stream)

    def note(self, text: str) -> None:
        """Prints a note for people to standard error; nothing in JSON mode."""
        if self.is_table:
            print(text, file=sys.stderr)  # noqa: T201 - it is a command

    def record(self, record: Record) -> None:
        """Prints one record: its members below each other, or its JSON unchanged."""
        if not self.is_table:
            self.line(record.text)
            return
        rows = [
            ("guid", record.guid),
            ("expires", f"{instant(record.expire)} ({until(record.expire - time.time())})"),
            *((printable(name), _shown(member)) for name, member in _metadata(record).items()),
            ("etag", record.etag or ""),
        ]
        self.pairs(rows)

    def pairs(self, rows: Sequence[tuple[str, str]]) -> None:
        """Prints names and their values."""
        width = max(_length(name) for name, _ in rows)
        for name, text in rows:
            self.parts((f"{_padded(name, width)}  ", ACCENT), (text, ""))

    def records(self, records: Sequence[Record]) -> None:
        """Prints records: a table, or the JSON of each on its own line."""
        if not self.is_table:
            for record in records:
                self.line(on_one_line(record.text))
            return
        self.table(
            ("GUID", "EXPIRES", "USER", "MORE"),
            (
                (record.guid, instant(record.expire), _short(record.user or ""), _more(record))
                for record in records
            ),
        )

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Prints aligned columns; on a terminal the last one is cut at the end of the line."""
        cells = [titles, *rows]
        widths = [max(map(_length, column)) for column in zip(*cells, strict=True)][:-1]
        for at, row in enumerate(cells):
            padded = [_padded(cell, width) for cell, width in zip(row, widths, strict=False)]
            line = "  ".join([*padded, row[-1]]).rstrip()
            self.parts((line, "bold" if at == 0 else ""), is_cut=self.stream.isatty())

    def parts(self, *parts: tuple[str, str], is_cut: bool = False) -> None:
        """Prints a line of texts, each in its style, without wrapping."""
        from rich.text import Text  # noqa: PLC0415 - imported only if there is text to style

        line = Text.assemble(*parts)
        if is_cut:
            line.truncate(self.width, overflow="ellipsis")
        self._console.print(line, soft_wrap=True)

    @property
    def width(self) -> int:
        """Characters of a line."""
        return self._console.width

    @cached_property
    def _console(self) -> Console:
        """Rich's view of the stream, which respects NO_COLOR and detects a terminal."""
        from rich.console import Console  # noqa: PLC0415 - as above

        return Console(file=self.stream, highlight=False, markup=False, emoji=False)


def complain(sentence: str) -> None:
    """Prints an error to standard error; a closed stream is ignored, as the exit code tells too."""
    with suppress(OSError):
        print(f"guidkeep: {printable(sentence)}", file=sys.stderr)  # noqa: T201 - it is a command


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Names the user's file in an OSError that the `with` block raises.

    If the error is about another file, that file is added in brackets.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None and str(error.filename) != name:
            error.strerror = f"{error.strerror} ({error.filename})"
        error.filename = name
        raise


def failed(error: OSError, again: str = "") -> int:
    """Prints an error of reading or writing; returns the exit code.

    Nothing is printed for a broken pipe. An error without a file is standard output's.

    Args:
        error: the error.
        again: a further sentence.
    """
    try:
        sys.stdout.flush()
    except OSError:
        # Otherwise Python would print an error when it flushes the stream at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return exits.BROKEN_PIPE
    name = error.filename or "Standard output"
    complain(f"{name} can't be read or written: {error.strerror}.{again}")
    return exits.FAILED


def printable(text: str) -> str:
    """Returns the text with unprintable characters escaped, so that it is safe on a terminal."""
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1] for character in text
    )


def _form_of(stream: TextIO) -> str:
    form = os.environ.get(FORMAT_VARIABLE, "")
    if form not in ("", "table", "json"):
        raise StartupError(f"{FORMAT_VARIABLE}: {form!r} is neither table nor json.")
    return form or ("table" if stream.isatty() else "json")


def until(seconds: float) -> str:
    """Returns a time from now, given in seconds, in words."""
    units = (("year", 365.25 * 86_400), ("day", 86_400), ("hour", 3600), ("minute", 60))
    for name, length in units:
        if seconds >= 2 * length:
            return f"in {round(seconds / length)} {name}s"
    return f"in {int(seconds)} s" if seconds > 0 else "expired"


def _metadata(record: Record) -> dict[str, Member]:
    members = parse_object(record.text)
    return {name: member for name, member in members.items() if name not in STORED}


def _shown(member: Member) -> str:
    """Returns a text unchanged, any other value as its JSON text."""
    return printable(member.value if isinstance(member.value, str) else member.text)


def _more(record: Record) -> str:
    """Returns a record's metadata except its user, on one line."""
    rest: dict[str, Any] = {
        name: member for name, member in _metadata(record).items() if name != "user"
    }
    return " ".join(f"{printable(name)}={_shown(member)}" for name, member in rest.items())


def _short(text: str) -> str:
    return printable(text if len(text) <= SHORT else f"{text[: SHORT - 1]}…")


def _length(text: str) -> int:
    """Returns the width of a text on a terminal, where some characters take two columns."""
    from rich.cells import cell_len  # noqa: PLC0415 - as above

    return cell_len(text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _length(text))
