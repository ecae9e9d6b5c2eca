"""Lines, cut from what comes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

NDJSON = "application/x-ndjson"
"""The media type of lines that have a JSON object each."""


class Line(NamedTuple):
    """A line that is not blank: its number, from 1, and its text; None: it is too long."""

    number: int
    text: bytes | None


class Lines:
    """Cuts lines out of pieces that end anywhere. Holds a line that is not complete, no more.

    Args:
        limit: bytes of a line at most, its end not counted.
    """

    def __init__(self, limit: int) -> None:
        self.number = 0
        """Of the last line that was cut."""
        self._limit = limit
        self._rest = b""
        self._is_too_long = False

    def feed(self, piece: bytes) -> Iterator[Line | None]:
        """Cuts a line that this piece completes whenever the next one is asked for.

        None stands for a blank one. All are to be taken before the next piece is fed.
        """
        begin = 0
        while (end := piece.find(b"\n", begin)) >= 0:
            text, is_too_long = self._rest + piece[begin:end], self._is_too_long
            self._rest, self._is_too_long = b"", False
            yield self._cut(text, is_too_long=is_too_long)
            begin = end + 1
        self._keep(self._rest + piece[begin:])

    def end(self) -> Iterator[Line | None]:
        """The last line, which does not end."""
        text, self._rest = self._rest, b""
        yield self._cut(text, is_too_long=self._is_too_long)

    def _keep(self, rest: bytes) -> None:
        self._is_too_long = self._is_too_long or len(rest) > self._limit + 1  # it may end in CR LF
        self._rest = b"" if self._is_too_long else rest

    def _cut(self, text: bytes, *, is_too_long: bool) -> Line | None:
        self.number += 1
        if is_too_long or len(text.removesuffix(b"\r")) > self._limit:
            return Line(self.number, None)
        return Line(self.number, text) if text.strip() else None
