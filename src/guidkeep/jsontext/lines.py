"""Cuts a stream of bytes into lines. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Line(NamedTuple):
    """A line that is not blank: its number, from 1, and its text, or None if it is too long."""

    number: int
    text: bytes | None


class Lines:
    """Cuts lines from pieces that may end anywhere. It holds at most one incomplete line.

    Args:
        limit: maximum bytes of a line, without its line break.
    """

    def __init__(self, limit: int) -> None:
        self.number = 0
        """The number of the last line."""
        self._limit = limit
        self._rest = b""
        self._is_too_long = False

    def feed(self, piece: bytes) -> Iterator[Line | None]:
        """Yields the lines that this piece completes; None stands for a blank line.

        Take all of them before you feed the next piece.
        """
        begin = 0
        while (end := piece.find(b"\n", begin)) >= 0:
            text, is_too_long = self._rest + piece[begin:end], self._is_too_long
            self._rest, self._is_too_long = b"", False
            yield self._cut(text, is_too_long=is_too_long)
            begin = end + 1
        self._keep(self._rest + piece[begin:])

    def end(self) -> Iterator[Line | None]:
        """Yields the last line, which has no line break."""
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
