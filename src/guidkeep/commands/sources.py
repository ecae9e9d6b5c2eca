"""Records in files: NDJSON, one JSON array, CSV; each read in bounded memory, one record at a time.

A CSV has a line of names at its top. `guid` and `expire` mean what they do everywhere, `expire` in
all the ways of `--expire`. A name that ends in `:=` holds JSON, any other text. An empty cell is
nothing.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from json import JSONDecodeError
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, Self

from guidkeep.commands.words import parse_expire
from guidkeep.errors import StartupError
from guidkeep.jsonfaults import explained
from guidkeep.jsontext import lenient, on_one_line, require_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Form = Literal["ndjson", "json", "csv"]

LONGEST = 16 << 20
"""Bytes of one record in a file at most; no service takes as many."""
SHOWN = 1 << 16
"""Characters that are kept at most of what can't be sent."""
PIECE = 1 << 16
"""Bytes that are read at a time: how far it is is seen in steps of these."""

_WHITE = " \t\r\n"
_ANY_BYTES = "surrogateescape"
"""How text is decoded: what is not UTF-8 becomes what UTF-8 never is (PEP 383), so one bad byte is
the fault of its record, not of all that is decoded with it."""


class Item(NamedTuple):
    """A record in a file.

    Attributes:
        number: its line; in an array, its place, from 1.
        text: its JSON, on one line, or, if it has none, what stands there, up to `SHOWN`
            characters.
        fault: why it can't be sent, if it can't.
    """

    number: int
    text: str
    fault: str | None = None


class BrokenOff(StartupError):
    """The file is not of its form, so that nothing after that can be read."""


class Source:
    """A file of records that is read.

    Args:
        stream: its bytes.
        form: None: seen from its first character.
        clock: returns Unix time in seconds, for an `expire` that is a time from now.
    """

    def __init__(self, stream: IO[bytes], form: Form | None, *, clock: Callable[[], float]) -> None:
        self._counted = _Counted(stream)
        counted: Any = self._counted
        self._bytes: io.BufferedReader[Any] = io.BufferedReader(counted, PIECE)
        self._clock = clock
        begins = self._bytes.peek(4)[:4]
        if begins.startswith(codecs.BOM_UTF8):
            self._bytes.read(len(codecs.BOM_UTF8))
        self.form: Form = form or self._seen()

    @property
    def passed(self) -> int:
        """Bytes that have been taken from the stream."""
        return self._counted.count

    def items(self) -> Iterator[Item]:
        """The records, blank lines left out.

        Raises:
            BrokenOff: the file is not of its form, so that nothing after that can be read.
        """
        if self.form == "csv":
            return self._rows()
        return self._elements() if self.form == "json" else self._lines()

    def _seen(self) -> Form:
        first = self._bytes.peek(PIECE).lstrip()[:1]
        return "json" if first == b"[" else "ndjson" if first in (b"{", b"") else "csv"

    def _lines(self) -> Iterator[Item]:
        number = 0
        while line := self._bytes.readline(LONGEST):
            number += 1
            is_cut = len(line) == LONGEST
            while is_cut and not line.endswith(b"\n") and line:
                line = self._bytes.readline(LONGEST)
            if is_cut:
                yield _faulty(number, "", f"The line is longer than {LONGEST >> 20} MiB.")
            elif line.strip():
                yield _checked(number, line.decode(errors=_ANY_BYTES).strip(_WHITE))

    def _elements(self) -> Iterator[Item]:
        """The elements of an array, their text as it is but for line breaks."""
        text = io.TextIOWrapper(self._bytes, encoding="utf-8", errors=_ANY_BYTES)
        for number, element in enumerate(_Elements(text), 1):
            yield _checked(number, on_one_line(element))

    def _rows(self) -> Iterator[Item]:
        text = io.TextIOWrapper(self._bytes, encoding="utf-8", errors=_ANY_BYTES, newline="")
        lines = _Lines(text)
        csv.field_size_limit(LONGEST)  # of this process; else a cell may have 128 KiB
        rows = csv.reader(lines, strict=True)
        try:
            names = next(rows, [])
            _check_names(names)
            lines.taken = 0
            for row in rows:
                lines.taken = 0
                if row:
                    yield self._row(rows.line_num, names, row)
        except csv.Error as error:
            raise BrokenOff(f"Line {rows.line_num} is not CSV: {error}.") from error

    def _row(self, number: int, names: Sequence[str], row: Sequence[str]) -> Item:
        if len(row) != len(names):
            fault = f"The line has {len(row)} cells; the names at the top are {len(names)}."
            return _faulty(number, ",".join(row), fault)
        members: list[str] = []
        for name, cell in zip(names, row, strict=True):
            if cell:
                try:
                    members.append(self._cell(name, cell))
                except (StartupError, ValueError) as error:
                    return _faulty(number, ",".join(row), f"{name}: {error}")
        return Item(number, "{" + ",".join(members) + "}")

    def _cell(self, name: str, cell: str) -> str:
        if fault := _fault(cell):
            raise ValueError(fault)
        if name == "expire":
            return f'"expire":{json.dumps(parse_expire(cell, now=self._clock()))}'
        if name.endswith(":="):
            require_json(cell)
            return f"{json.dumps(name[:-2], ensure_ascii=False)}:{on_one_line(cell)}"
        return f"{json.dumps(name, ensure_ascii=False)}:{json.dumps(cell, ensure_ascii=False)}"


class _Lines:
    """The lines of a CSV, of which a row may take many; none is longer than a record may be.

    Attributes:
        taken: characters since the row began.
    """

    def __init__(self, stream: io.TextIOBase) -> None:
        self._stream = stream
        self.taken = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(LONGEST + 1 - self.taken)
        self.taken += len(line)
        if self.taken > LONGEST:
            raise csv.Error(f"a record is longer than {LONGEST >> 20} MiB")
        if not line:
            raise StopIteration
        return line


class _Elements:
    """Iterates over the texts of an array's elements; holds a piece, and one element at most."""

    def __init__(self, stream: io.TextIOBase) -> None:
        self._stream = stream
        self._text = ""
        self._at = 0
        self._is_whole = False

    def __iter__(self) -> Iterator[str]:
        self._expect("[", "The file is no JSON array: it must begin with [.")
        if self._next() == "]":
            self._at += 1
        else:
            yield self._element()
            while self._next() == ",":
                self._at += 1
                self._next()
                yield self._element()
            self._expect("]", "After an element there must be a comma or the array's end.")
        if self._next():
            raise BrokenOff("There is more after the end of the array.")

    def _element(self) -> str:
        while True:
            try:
                _, end = lenient.raw_decode(self._text, self._at)
            except (JSONDecodeError, RecursionError) as error:
                if not self._read():
                    raise BrokenOff(
                        f"An element of the array is not JSON: {explained(error)}."
                    ) from error
            else:
                # 12 may go on as 123, or as 12.5: it is whole when something ends it.
                if _ends(self._text, end) or not self._read():
                    element = self._text[self._at : end]
                    self._at = end
                    return element

    def _next(self) -> str:
        """The next character that is not white; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _WHITE:
                    return self._text[self._at]
                self._at += 1
            if not self._read():
                return ""

    def _expect(self, character: str, otherwise: str) -> None:
        if self._next() != character:
            raise BrokenOff(otherwise)
        self._at += 1

    def _read(self) -> bool:
        """Reads on: a piece, or as much as waits already, so that a long element is soon whole."""
        waiting = len(self._text) - self._at
        if waiting > LONGEST:
            raise BrokenOff(f"An element of the array is longer than {LONGEST >> 20} MiB.")
        piece = self._stream.read(max(PIECE, waiting))
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)


class _Counted(io.RawIOBase):
    """A stream that counts what is taken from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # any buffer will do
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        self.count += len(piece)
        return len(piece)


_ends = re.compile(r"[ \t\r\n]*[,\]]").match


def _checked(number: int, text: str) -> Item:
    fault = _fault(text)
    return _faulty(number, text, fault) if fault else Item(number, text)


def _fault(text: str) -> str | None:
    """Where a text that was decoded whatever its bytes are is not UTF-8, if it is not."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"Byte {len(text[: error.start].encode())} is not UTF-8."
    return None


def _faulty(number: int, text: str, fault: str) -> Item:
    shown = text[:SHOWN].encode(errors=_ANY_BYTES).decode(errors="replace")
    return Item(number, shown, fault)


def _check_names(names: Sequence[str]) -> None:
    if not names or not all(names):
        raise BrokenOff("The first line of a CSV must name its columns, as in guid,expire,user.")
    if any(map(_fault, names)):
        raise BrokenOff("The first line of a CSV must be UTF-8, as all of it.")
    if len(set(names)) < len(names):
        raise BrokenOff("A column of the CSV stands twice: name each once.")
