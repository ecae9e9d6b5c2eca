"""The elements of one JSON array, read in bounded memory, each with the line where it begins."""

from __future__ import annotations

import re
from functools import partial
from json import JSONDecodeError
from typing import TYPE_CHECKING

from guidkeep.cli.input import items
from guidkeep.cli.input.items import WHITE, BrokenOff
from guidkeep.jsontext import lenient
from guidkeep.jsontext.faults import explained

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

_ends = re.compile(r"[ \t\r\n]*[,\]]").match
_place = re.compile(r"\(line ([0-9]+), column ([0-9]+)\)")


class Elements:
    """Iterates over lines and texts of the elements; holds at most a piece and one element."""

    def __init__(self, stream: io.TextIOBase) -> None:
        self._stream = stream
        self._text = ""
        self._at = 0
        self._line, self._column = 1, 1  # where the held text begins
        self._counted, self._here = 0, 1  # the position up to which lines are counted; its line

    def __iter__(self) -> Iterator[tuple[int, str]]:
        self._expect("[", "The file is not a JSON array: it must begin with [.")
        if self._next() == "]":
            self._at += 1
        else:
            yield self._element()
            while self._next() == ",":
                self._at += 1
                self._next()
                yield self._element()
            self._expect("]", "After an element there must be a comma or the end of the array")
        if self._next():
            raise BrokenOff(f"There is text after the end of the array (line {self._lines()}).")

    def _element(self) -> tuple[int, str]:
        while True:
            try:
                _, end = lenient.raw_decode(self._text, self._at)
            except (JSONDecodeError, RecursionError) as error:
                begins = self._line, self._column
                if not self._read():
                    reason = _place.sub(partial(_placed, begins), explained(error))
                    raise BrokenOff(f"An element of the array is not JSON: {reason}.") from error
            else:
                # 12 may continue as 123 or 12.5: it is complete when another token follows.
                if _ends(self._text, end) or not self._read():
                    line, element = self._lines(), self._text[self._at : end]
                    self._at = end
                    return line, element

    def _lines(self) -> int:
        """Returns the present line."""
        self._here += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._here

    def _next(self) -> str:
        """Returns the next character that is not white space; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in WHITE:
                    return self._text[self._at]
                self._at += 1
            if not self._read():
                return ""

    def _expect(self, character: str, otherwise: str) -> None:
        if self._next() != character:
            where = "" if otherwise.endswith(".") else f" (line {self._lines()})."
            raise BrokenOff(f"{otherwise}{where}")
        self._at += 1

    def _read(self) -> bool:
        """Reads a piece, or as much as is held already, so that long elements need few reads."""
        waiting = len(self._text) - self._at
        if waiting > items.LONGEST:
            raise BrokenOff(
                f"An element of the array is longer than {items.LONGEST >> 20} MiB "
                f"(line {self._lines()})."
            )
        piece = self._stream.read(max(items.PIECE, waiting))
        self._line = self._lines()
        last = self._text.rfind("\n", 0, self._at)
        self._column = self._at - last if last >= 0 else self._column + self._at
        self._text, self._at, self._counted = self._text[self._at :] + piece, 0, 0
        return bool(piece)


def _placed(begins: tuple[int, int], found: re.Match[str]) -> str:
    """Converts a place in a text that begins at that line and column to a place in the file."""
    line, column = int(found[1]), int(found[2])
    column += begins[1] - 1 if line == 1 else 0
    return f"(line {line + begins[0] - 1}, column {column})"
