"""Bulk writes, cut into batches.

HTTP/1.1 libraries send a whole request before they read its response. The service responds to a
bulk request while it is still arriving, and holds the unread part of the response only up to a
limit; then it stops reading. So with an unlimited request, the client and the service could wait
for each other. Therefore a batch is never longer than the sockets' buffers: it is always sent as a
whole, then its response is read. A batch is also the unit that is repeated when its response is
lost. A single line may be longer, because there is no response before its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from guidkeep.client.arguments import Metadata, aged, body_of, members_of
from guidkeep.client.models import Record
from guidkeep.errors import InvalidRequest
from guidkeep.jsontext import lenient, on_one_line, parse_object
from guidkeep.record import is_guid, new_guid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BATCH_BYTES = 65_536
"""The largest number of bytes of a batch of several lines: less than a socket's buffers hold."""
BATCH_LINES = 1000

_WHITE = b" \t\r\n"
"""JSON's white space. If more were stripped, invalid lines would become valid."""


class Sent(NamedTuple):
    """A line of a batch.

    Attributes:
        number: its number in the whole input, from 1, including blank lines.
        text: the JSON, without a line end.
        guid: the GUID of its record, if it can be read.
        is_drawn: whether the GUID was generated for this line, so that no other record has it.
    """

    number: int
    text: bytes
    guid: str | None
    is_drawn: bool = False


@dataclass(slots=True)
class Batches:
    """Collects lines until they fill a batch."""

    _number: int = 0
    _lines: list[Sent] = field(default_factory=list)
    _bytes: int = 0

    def add(self, line: Metadata | Record) -> Sequence[Sent] | None:
        """Adds a line; returns the batch before it, if that is full."""
        self._number += 1
        sent = line_of(self._number, line)
        return self.put(sent) if sent.text else None

    def put(self, line: Sent) -> Sequence[Sent] | None:
        """Adds a line with its number and GUID; returns the batch before it, if that is full."""
        full = None
        size = len(line.text) + 1
        if self._lines and (self._bytes + size > BATCH_BYTES or len(self._lines) == BATCH_LINES):
            full = self.rest()
        self._lines.append(line)
        self._bytes += size
        return full

    def rest(self) -> Sequence[Sent]:
        """Returns the current batch, which may be empty."""
        lines, self._lines, self._bytes = self._lines, [], 0
        return lines


def line_of(number: int, line: Metadata | Record, fresh: Callable[[], str] = new_guid) -> Sent:
    """Returns the line to send, with a `fresh` GUID if it has none.

    With a GUID, a line can be repeated when its response is lost, without creating a second record.
    A line that is not a JSON object stays unchanged: the service reports the error.
    """
    if isinstance(line, Record):
        line = line.text
    if isinstance(line, str | bytes):
        text = line if isinstance(line, bytes) else line.encode(errors="surrogatepass")
        text = _on_one_line(text.strip(_WHITE))
    else:
        text = body_of(members_of(line))
    if not text.strip():  # a form feed is as blank to the service
        return Sent(number, b"", None)
    if b'"guid"' in text or b"\\u" in text or text[:1] != b"{":
        named, has_guid = _named(text)
        if has_guid:
            return Sent(number, text, named)
    guid = fresh()
    rest = text[1:].lstrip(_WHITE)
    comma = b"" if rest[:1] == b"}" else b","
    named_text = b'{"guid":"%b"%b%b' % (guid.encode(), comma, rest)
    return Sent(number, named_text, guid, is_drawn=True)


def has_null(line: Sent) -> bool:
    """Returns whether doing the line twice may differ from doing it once.

    The first time creates the record and keeps a null; the second merges and removes it.
    """
    try:
        return b"null" in line.text and is_removing(lenient.decode(line.text.decode()))
    except (ValueError, RecursionError):
        return False  # the service refuses it


def text_after(line: Sent, seconds: int) -> bytes:
    """Returns the line for a repeat some seconds later, with the rest of its `ttl`."""
    if not seconds or not (b'"ttl"' in line.text or b"\\u" in line.text):
        return line.text
    try:
        members = parse_object(line.text)
    except InvalidRequest:
        return line.text  # the service refuses it
    left = aged(members, seconds)
    return line.text if left is members else body_of(left)


def is_removing(value: object, *, is_record: bool = True) -> bool:
    """Returns whether the value has a null that means removal in a merge (RFC 7396).

    Args:
        value: the value to merge.
        is_record: whether it is the record itself, in which nulls of `expire` and `ttl` do not
            mean removal.
    """
    return isinstance(value, dict) and any(
        is_removing(inner, is_record=False)
        if inner is not None
        else not (is_record and name in ("expire", "ttl"))
        for name, inner in value.items()
    )


def _on_one_line(text: bytes) -> bytes:
    """Returns the text without line feeds, still as valid: a CR in a string is invalid too."""
    if b"\n" not in text:
        return text
    try:
        whole = text.decode()
        lenient.decode(whole)
    except (ValueError, RecursionError):
        return text.replace(b"\n", b"\r")
    return on_one_line(whole).encode()


def _named(text: bytes) -> tuple[str | None, bool]:
    """Returns a line's GUID, if it is valid, and whether the line must stay unchanged."""
    try:
        members = lenient.decode(text.decode())
    except (ValueError, RecursionError):
        return None, True
    if not isinstance(members, dict):
        return None, True
    guid = members.get("guid")
    return (guid if isinstance(guid, str) and is_guid(guid) else None), "guid" in members
