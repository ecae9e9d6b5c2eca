"""Lines, cut from what comes. Pure."""

from __future__ import annotations

from typing import NamedTuple

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

    def feed(self, piece: bytes) -> list[Line]:
        """The lines that this piece completes, without the blank ones."""
        *complete, rest = piece.split(b"\n")
        if not complete:
            self._keep(self._rest + rest)
            return []
        complete[0] = self._rest + complete[0]
        lines = [self._cut(complete[0], is_too_long=self._is_too_long)]
        lines += [self._cut(text) for text in complete[1:]]
        self._is_too_long = False
        self._keep(rest)
        return [line for line in lines if line is not None]

    def end(self) -> list[Line]:
        """The last line, if it does not end."""
        line = self._cut(self._rest, is_too_long=self._is_too_long)
        self._rest = b""
        return [] if line is None else [line]

    def _keep(self, rest: bytes) -> None:
        self._is_too_long = self._is_too_long or len(rest) > self._limit + 1  # it may end in CR LF
        self._rest = b"" if self._is_too_long else rest

    def _cut(self, text: bytes, *, is_too_long: bool = False) -> Line | None:
        self.number += 1
        if is_too_long or len(text.removesuffix(b"\r")) > self._limit:
            return Line(self.number, None)
        return Line(self.number, text) if text.strip() else None
