"""Records in files: NDJSON, one JSON array, CSV; each read in bounded memory, one record at a time.

The first line of a CSV has the names of the columns. `guid`, `expire` and `ttl` have their usual
meaning, in any case; `expire` accepts all forms of `--expire`, `ttl` also 30d. A column whose name
ends in `:=` holds JSON, any other column text. An empty cell is ignored.
"""

from __future__ import annotations

import codecs
import io
from typing import IO, TYPE_CHECKING, Any

from guidkeep.cli.input import formats, items
from guidkeep.cli.input.csv_rows import Table
from guidkeep.cli.input.items import ANY_BYTES, WHITE, Item, checked, faulty
from guidkeep.cli.input.json_array import Elements
from guidkeep.cli.output import naming
from guidkeep.jsontext import on_one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from guidkeep.cli.input.formats import Form


class Source:
    """A file of records.

    Args:
        stream: its bytes. Its first line is read at once.
        form: its format; None to detect it from its first character.
        clock: returns Unix time in seconds, for an `expire` that is a time from now.

    Attributes:
        doubtful: columns of a CSV whose names are not taken literally, unless the service's
            schema declares them: see `settle`.

    Raises:
        StartupError: the file does not contain records.
    """

    def __init__(self, stream: IO[bytes], form: Form | None, *, clock: Callable[[], float]) -> None:
        self._counted = _Counted(stream)
        begins = self._counted.begin()
        formats.require_records(begins)
        counted: Any = self._counted
        self._bytes: io.BufferedReader[Any] = io.BufferedReader(counted, items.PIECE)
        if begins.startswith(codecs.BOM_UTF8):
            self._bytes.read(len(codecs.BOM_UTF8))
            begins = begins.removeprefix(codecs.BOM_UTF8)
        self.form: Form = form or formats.form_of(begins)
        self._table: Table | None = None
        if self.form == "csv":
            self._table = Table(
                self._text(newline=""),
                begins.decode(errors=ANY_BYTES),
                is_sure=form is not None,
                clock=clock,
            )
        self.doubtful = self._table.doubtful if self._table else []
        self._is_settled = False

    @property
    def passed(self) -> int:
        """The number of bytes read from the stream."""
        return self._counted.count

    @property
    def columns(self) -> dict[str, str] | None:
        """The column names by member; None if the file is not a CSV."""
        if self._table is None:
            return None
        return {column.member: column.name for column in self._table.columns}

    def settle(self, declared: Collection[str] = ()) -> None:
        """Maps the columns of a CSV to members; to be called before `items`.

        Args:
            declared: properties that the service's schema declares.

        Raises:
            StartupError: a column is misspelt or ambiguous.
        """
        self._is_settled = True
        if self._table:
            self._table.settle(declared)

    def items(self) -> Iterator[Item]:
        """Returns an iterator over the records, without blank lines.

        Raises:
            BrokenOff: the file is malformed, and the rest of it cannot be read.
        """
        if not self._is_settled:
            self.settle()
        if self._table:
            return self._table.rows()
        return self._elements() if self.form == "json" else self._lines()

    def _lines(self) -> Iterator[Item]:
        number = 0
        while line := self._bytes.readline(items.LONGEST):
            number += 1
            is_cut = len(line) == items.LONGEST
            while is_cut and not line.endswith(b"\n") and line:
                line = self._bytes.readline(items.LONGEST)
            if is_cut:
                yield faulty(number, "", f"The line is longer than {items.LONGEST >> 20} MiB.")
            elif line.strip():
                yield checked(number, line.decode(errors=ANY_BYTES).rstrip(WHITE))

    def _elements(self) -> Iterator[Item]:
        """Yields the elements of an array, their text unchanged except for line breaks."""
        for number, (line, element) in enumerate(Elements(self._text()), 1):
            yield checked(number, on_one_line(element), line)

    def _text(self, newline: str | None = None) -> io.TextIOWrapper:
        return io.TextIOWrapper(self._bytes, encoding="utf-8", errors=ANY_BYTES, newline=newline)


class _Counted(io.RawIOBase):
    """A stream that counts the bytes read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        name = getattr(stream, "name", None)
        self._name = name if isinstance(name, str) else "Standard input"
        self._begins = b""
        self.count = 0

    def begin(self) -> bytes:
        """Returns its beginning, up to a non-blank line or a piece; later reads return it again.

        It waits for no more: in a pipe the rest may come much later.
        """
        read = getattr(self._stream, "read1", self._stream.read)
        while len(self._begins) < items.PIECE and b"\n" not in self._begins.lstrip():
            with naming(self._name):
                piece = read(items.PIECE)
            if not piece:
                break
            self._begins += piece
        return self._begins

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # any buffer will do
        piece, self._begins = self._begins[: len(buffer)], self._begins[len(buffer) :]
        with naming(self._name):
            piece = piece or self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        self.count += len(piece)
        return len(piece)
