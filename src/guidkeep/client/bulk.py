"""The lines of a bulk write: the request, the results, and the lines to repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.client.batches import has_null, text_after
from guidkeep.client.models import Line
from guidkeep.client.responses import line_of, strange
from guidkeep.errors import (
    GuidkeepError,
    OutcomeUnknown,
    PreconditionFailed,
    RequestTimeout,
    Stopping,
    TemporaryError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guidkeep.client.batches import Sent
    from guidkeep.client.sansio import Response

CREATED = 201
NOT_TAKEN = (Stopping, RequestTimeout)
"""The response to a line with one of these means that it and all after it were not done."""


def joined(lines: Sequence[Sent], age: int) -> bytes:
    """Returns the lines' body, `age` seconds after the first attempt that may have been done."""
    return b"".join([b"%b\n" % text_after(line, age) for line in lines])


def lines_of(response: Response, sent: Sequence[Sent]) -> list[Line]:
    """Returns the result of each line; the last one applies to all lines that were not taken."""
    texts = filter(None, response.body.split(b"\n"))
    lines = [
        _own(line_of(response, text, line.number), line)
        for text, line in zip(texts, sent, strict=False)
    ]
    left = sent[len(lines) :]
    if left and not (lines and isinstance(lines[-1].error, NOT_TAKEN)):
        strange(response)
    return lines + [lines[-1]._replace(number=line.number) for line in left]


def _own(came: Line, sent: Sent) -> Line:
    """Returns a success if the record of a generated GUID exists: an earlier attempt created it."""
    if sent.is_drawn and isinstance(came.error, PreconditionFailed):
        return Line(came.number, CREATED, sent.guid, None, None)
    return came


def failed(sent: Sent, before: Line | None, error: GuidkeepError, status: int) -> Line:
    """Returns the error of a line that got no response now, given its result from before."""
    was_done = before is not None and before.error is None
    was_open = before is not None and isinstance(before.error, OutcomeUnknown)
    if before and (was_done or was_open) and not isinstance(error, OutcomeUnknown):
        return before
    return Line(sent.number, status, sent.guid, None, error)


def is_safe(line: Sent, *, create_only: bool) -> bool:
    """Returns whether the line may be repeated although it may have been done."""
    return line.is_drawn or not (create_only or has_null(line))


def is_temporary(error: GuidkeepError | None) -> bool:
    """Returns whether a repeat of the line may succeed."""
    return isinstance(error, (TemporaryError, *NOT_TAKEN))


def to_repeat(
    sent: Sequence[Sent], found: Mapping[int, Line], *, create_only: bool
) -> Sequence[Sent]:
    """Returns the lines whose repeat may succeed, and later lines of the same records."""
    again: list[Sent] = []
    guids: set[str | None] = set()
    for line in sent:
        error = found[line.number].error
        is_open = isinstance(error, OutcomeUnknown)
        can_be = is_temporary(error) and (not is_open or is_safe(line, create_only=create_only))
        if can_be or (line.guid is not None and line.guid in guids):
            again.append(line)
            guids.add(line.guid)
    return again
