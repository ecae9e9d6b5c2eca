"""Where to cut what arrives, so that no slice has parts of two requests.

A parser that gets everything at once makes every request in it, though only the first can be
served. So it gets slices, and the next one only when the request before is done.

A request ends at an empty line, which is the end of its head or of its last chunk, or after as many
bytes of content as its head says. An empty line may also stand elsewhere, in chunks: one slice more
does no harm. The parser accepts no other end of a line than CR LF.
"""

from __future__ import annotations

EMPTY_LINE = b"\r\n\r\n"


class Slices:
    """Cuts the bytes of one connection.

    Attributes:
        content: bytes of content still to come of the request, where its head says how many.
        tail: the last bytes of the request that has begun, which may begin an empty line.
    """

    __slots__ = ("content", "tail")

    def __init__(self) -> None:
        self.content = 0
        self.tail = b""

    def cut(self, data: bytes, begin: int) -> int:
        """Where the slice ends that begins there."""
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
        """The request goes on after this slice."""
        self.tail = (self.tail + piece[1 - len(EMPTY_LINE) :])[1 - len(EMPTY_LINE) :]

    def reset(self) -> None:
        """The request is complete."""
        self.content = 0
        self.tail = b""
