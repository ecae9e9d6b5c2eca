"""A record in a file, as it is read: its text, and why it can't be sent, if it can't."""

from __future__ import annotations

from typing import NamedTuple

from guidkeep.errors import StartupError

LONGEST = 16 << 20
"""Bytes of one record in a file at most; no service takes as many."""
SHOWN = 1 << 16
"""Characters that are kept at most of what can't be sent."""
PIECE = 1 << 16
"""Bytes that are read at a time: how far it is is seen in steps of these."""

WHITE = " \t\r\n"
ANY_BYTES = "surrogateescape"
"""How text is decoded: what is not UTF-8 becomes what UTF-8 never is (PEP 383), so one bad byte is
the fault of its record, not of all that is decoded with it."""


class Item(NamedTuple):
    """A record in a file.

    Attributes:
        number: which it is: the line where it begins; in an array, its place, from 1.
        text: its JSON, on one line, or, if it has none, what stands there, up to `SHOWN`
            characters.
        fault: why it can't be sent, if it can't.
        place: of an element of an array, the line where it begins.
    """

    number: int
    text: str
    fault: str | None = None
    place: int | None = None

    @property
    def line(self) -> int:
        """The line of the file where it begins, from 1."""
        return self.number if self.place is None else self.place


class BrokenOff(StartupError):
    """The file is not of its form, so that nothing after that can be read."""


def fault_of(text: str) -> str | None:
    """Where a text that was decoded whatever its bytes are is not UTF-8, if it is not."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"Byte {len(text[: error.start].encode())} is not UTF-8."
    return None


def checked(number: int, text: str, place: int | None = None) -> Item:
    """The item, with its fault if its bytes are not UTF-8."""
    fault = fault_of(text)
    return faulty(number, text, fault, place) if fault else Item(number, text, place=place)


def faulty(number: int, text: str, fault: str, place: int | None = None) -> Item:
    """An item that can't be sent, with the beginning of what stands there."""
    shown = text[:SHOWN].encode(errors=ANY_BYTES).decode(errors="replace")
    return Item(number, shown, fault, place)
