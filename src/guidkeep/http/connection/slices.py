"""Cuts received bytes into slices, so that no slice has parts of two requests.

A parser that gets all bytes at once creates every request in them, though only the first can be
served. So it gets slices, and the next one only when the previous request is done.

A request ends at an empty line, which is the end of its head or of its last chunk, or after the
number of bytes that its head gives. There may be other empty lines, in chunks: an additional slice
does no harm. The parser accepts only CR LF as the end of a line.
"""

from __future__ import annotations

EMPTY_LINE = b"\r\n\r\n"


class Slices:
    """Cuts the bytes of one connection.

    Attributes:
        content: bytes of content still to come, if the head gives their number.
        tail: the last bytes of the request so far, which may begin an empty line.
    """

    __slots__ = ("content", "tail")

    def __init__(self) -> None:
        self.content = 0
        self.tail = b""

    def cut(self, data: bytes, begin: int) -> int:
        """Returns the end of the slice that begins at `begin`."""
        if self.content:
            size = min(len(data) - begin, self.content)
            self.content -= size
            return begin + size
        if tail := self.tail:
            seam = tail + data[begin : begin + len(EMPTY_LINE) - 1]
            if (found := seam.find(EMPTY_LINE)) >= 0:
                return begin + found + len(EMPTY_LINE) - len(tail)
        found = data.find(EMPTY_LINE, begin)
        return len(data) if found < 0 else found + len(EMPTY_LINE)

    def keep(self, piece: bytes) -> None:
        """Called when the request continues after this slice."""
        self.tail = (self.tail + piece[1 - len(EMPTY_LINE) :])[1 - len(EMPTY_LINE) :]

    def reset(self) -> None:
        """Called when the request is complete."""
        self.content = 0
        self.tail = b""
