"""A streamed response, cut into lines."""

from __future__ import annotations


class Splitter:
    """Cuts a stream of bytes into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """Returns the lines that this piece completes; an empty piece is the end."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if not piece and self._rest:
            lines.append(self._rest)
        return [line for line in lines if line]
