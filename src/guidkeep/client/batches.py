"""Bulk writes, cut into batches.

HTTP/1.1 libraries send a whole request before they read its response. The service answers a bulk
request while it still arrives, and keeps the unread part of the response only up to a limit; then
it stops reading. A request without an end could therefore wait for the service, and the service
for its sender. So a batch is never longer than what sockets hold: it is always sent whole, then
its response is read. A batch is also what is sent again when its response is lost. A single line
may be longer, for until its end there is nothing to answer.
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
"""Bytes of a batch at most, unless it is one line: less than a socket's buffers hold."""
BATCH_LINES = 1000

_WHITE = b" \t\r\n"
"""What JSON takes for white space: with more of it taken away, what is refused would be valid."""


class Sent(NamedTuple):
    """A line of a batch.

    Attributes:
        number: which it is in the whole, from 1, blank ones counted.
        text: the JSON, without a line end.
        guid: which record it is about, as far as that can be seen.
        is_drawn: whether the GUID was drawn for this line, so that nobody else has it.
    """

    number: int
    text: bytes
    guid: str | None
    is_drawn: bool = False


@dataclass(slots=True)
class Batches:
    """Gathers lines until they make up a batch."""

    _number: int = 0
    _lines: list[Sent] = field(default_factory=list)
    _bytes: int = 0

    def add(self, line: Metadata | Record) -> Sequence[Sent] | None:
        """Takes a line; returns the batch before it, if that is full."""
        self._number += 1
        sent = line_of(self._number, line)
        return self.put(sent) if sent.text else None

    def put(self, line: Sent) -> Sequence[Sent] | None:
        """The same with a line that has its number and GUID."""
        full = None
        size = len(line.text) + 1
        if self._lines and (self._bytes + size > BATCH_BYTES or len(self._lines) == BATCH_LINES):
            full = self.rest()
        self._lines.append(line)
        self._bytes += size
        return full

    def rest(self) -> Sequence[Sent]:
        """The batch as far as it has come; may be empty."""
        lines, self._lines, self._bytes = self._lines, [], 0
        return lines


def line_of(number: int, line: Metadata | Record, fresh: Callable[[], str] = new_guid) -> Sent:
    """The line as it is sent, with a `fresh` GUID if it names none.

    With a GUID a line can be sent again when its response is lost, without making a second record.
    What is no JSON object stays as it is: the service says what is wrong with it.
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
    """Whether to do the line twice may be more than to do it once.

    The first time creates the record and keeps a null, the second merges and removes it.
    """
    try:
        return b"null" in line.text and is_removing(lenient.decode(line.text.decode()))
    except (ValueError, RecursionError):
        return False  # the service refuses it


def text_after(line: Sent, seconds: int) -> bytes:
    """The line as it is repeated so many seconds later: with what is left of its `ttl`."""
    if not seconds or not (b'"ttl"' in line.text or b"\\u" in line.text):
        return line.text
    try:
        members = parse_object(line.text)
    except InvalidRequest:
        return line.text  # the service refuses it
    left = aged(members, seconds)
    return line.text if left is members else body_of(left)


def is_removing(value: object, *, is_record: bool = True) -> bool:
    """Whether the value has a null that a merge (RFC 7396) takes as removal.

    Args:
        value: what is merged.
        is_record: whether it is the record itself, where the nulls of `expire` and `ttl` are no
            removal.
    """
    return isinstance(value, dict) and any(
        is_removing(inner, is_record=False)
        if inner is not None
        else not (is_record and name in ("expire", "ttl"))
        for name, inner in value.items()
    )


def _on_one_line(text: bytes) -> bytes:
    """The text without a line feed, and as valid as it was: CR is as wrong in a string as that."""
    if b"\n" not in text:
        return text
    try:
        whole = text.decode()
        lenient.decode(whole)
    except (ValueError, RecursionError):
        return text.replace(b"\n", b"\r")
    return on_one_line(whole).encode()


def _named(text: bytes) -> tuple[str | None, bool]:
    """The GUID that a line names, if it is one, and whether the line must be left as it is."""
    try:
        members = lenient.decode(text.decode())
    except (ValueError, RecursionError):
        return None, True
    if not isinstance(members, dict):
        return None, True
    guid = members.get("guid")
    return (guid if isinstance(guid, str) and is_guid(guid) else None), "guid" in members
