"""A record read from a file: its text, or the reason why it cannot be sent."""

from __future__ import annotations

from typing import NamedTuple

from guidkeep.errors import StartupError

LONGEST = 16 << 20
"""The longest record in a file, in bytes; no service accepts as many."""
SHOWN = 1 << 16
"""The most characters kept of a record that cannot be sent."""
PIECE = 1 << 16
"""Bytes that are read at a time; the progress is shown in these steps."""

WHITE = " \t\r\n"
ANY_BYTES = "surrogateescape"
"""The error handler for decoding (PEP 383): a bad byte becomes a character that UTF-8 cannot
encode, so that only the byte's own record fails, not everything decoded with it."""


class Item(NamedTuple):
    """A record in a file.

    Attributes:
        number: the line where it begins; in an array, its position, from 1.
        text: its JSON, on one line; or, if it cannot be sent, its first `SHOWN` characters.
        fault: the reason why it cannot be sent, if any.
        place: for an element of an array, the line where it begins.
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
    """The file is malformed, and the rest of it cannot be read."""


def fault_of(text: str) -> str | None:
    """Returns the fault of a text whose bytes were not UTF-8; None if they were."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"Byte {len(text[: error.start].encode())} is not UTF-8."
    return None


def checked(number: int, text: str, place: int | None = None) -> Item:
    """Returns the item, with a fault if its bytes are not UTF-8."""
    fault = fault_of(text)
    return faulty(number, text, fault, place) if fault else Item(number, text, place=place)


def faulty(number: int, text: str, fault: str, place: int | None = None) -> Item:
    """Returns an item that cannot be sent, with the beginning of its text."""
    shown = text[:SHOWN].encode(errors=ANY_BYTES).decode(errors="replace")
    return Item(number, shown, fault, place)
