"""Preconditions: `If-Match` and `If-None-Match` (RFC 9110 §13.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guidkeep.errors import Fault, InvalidRequest, PreconditionFailed
from guidkeep.http.representation import etag_of

if TYPE_CHECKING:
    from guidkeep.http.requests import Request
    from guidkeep.record import Record

_TAG = r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")'
# Possessive quantifiers: a long malformed header is refused in one pass.
_list = re.compile(rf"[ \t,]*+(?:{_TAG}[ \t]*+(?:,[ \t,]*+|$))++").fullmatch
_tags = re.compile(_TAG).findall


@dataclass(frozen=True, slots=True)
class Preconditions:
    """`If-Match` and `If-None-Match` (RFC 9110 §13.1): the HTTP form of the registry's condition.

    Attributes:
        if_match: the entity tags of the header, or `*`; None without the header.
        if_none_match: the same for `If-None-Match`.
        weakened: the weak tags of `If-Match`, without their `W/`, for the message. A weak tag
            never matches there.
    """

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None
    weakened: frozenset[str] = field(default=frozenset(), compare=False)

    def match_holds(self, current: Record | None) -> bool:
        """Returns whether `If-Match` lets the request through."""
        return self.if_match is None or _lists(self.if_match, current)

    def none_match_holds(self, current: Record | None) -> bool:
        """Returns whether `If-None-Match` lets the request through."""
        return self.if_none_match is None or not _lists(self.if_none_match, current)

    def require_match(self, current: Record | None) -> None:
        """Raises PreconditionFailed unless `If-Match` holds for the live record."""
        if not self.match_holds(current):
            state = f"its ETag is {etag_of(current)}" if current else "there is no live record"
            if self.weakened:
                raise PreconditionFailed(
                    f"If-Match has a weak tag, W/{min(self.weakened)}, which never matches: "
                    "something between client and service, such as a compressing proxy, has "
                    f"weakened it. Send it without W/; {state}."
                )
            raise PreconditionFailed(f"If-Match names another version of the record: {state}.")

    def require(self, current: Record | None) -> None:
        """Raises PreconditionFailed unless both headers hold for the live record."""
        self.require_match(current)
        if current is not None and not self.none_match_holds(current):
            raise PreconditionFailed(
                "If-None-Match does not hold: there is a live record, and its ETag is "
                f"{etag_of(current)}."
            )


UNCONDITIONAL = Preconditions()
"""The preconditions of a request without the two headers."""


def parse(if_match: bytes | None, if_none_match: bytes | None) -> tuple[Preconditions, list[Fault]]:
    """Returns the preconditions of the two headers, and their faults.

    A malformed header is refused, not ignored: otherwise a request would be executed that the
    header should have stopped.
    """
    faults: list[Fault] = []
    match, weakened = _parse("If-Match", if_match, faults)
    none_match, weak = _parse("If-None-Match", if_none_match, faults)
    if none_match is not None:
        none_match |= weak  # If-None-Match compares weakly (RFC 9110 §13.1.2)
    return Preconditions(match, none_match, weakened), faults


def stated(request: Request) -> tuple[Preconditions, list[Fault]]:
    """Returns the preconditions of a request, and their faults."""
    if b"if-match" not in request.headers and b"if-none-match" not in request.headers:
        return UNCONDITIONAL, []
    return parse(request.list_of(b"if-match"), request.list_of(b"if-none-match"))


def preconditions_of(request: Request) -> Preconditions:
    """Returns the preconditions of a request.

    Raises:
        InvalidRequest: a header is malformed.
    """
    preconditions, faults = stated(request)
    if faults:
        raise InvalidRequest(faults)
    return preconditions


def _parse(
    name: str, value: bytes | None, faults: list[Fault]
) -> tuple[frozenset[str] | None, frozenset[str]]:
    """Returns the strong tags of a header, and the weak ones without their `W/`."""
    if value is None:
        return None, frozenset()
    text = value.decode("latin-1")
    if text.strip(" \t") == "*":
        return frozenset("*"), frozenset()
    if not _list(text):
        detail = f'{name} must be * or entity tags with their quotes, as in "1427736345000000".'
        faults.append(Fault(detail, parameter=name))
    tags = _tags(text)
    return (
        frozenset(tag for weak, tag in tags if not weak),
        frozenset(tag for weak, tag in tags if weak),
    )


def _lists(tags: frozenset[str], current: Record | None) -> bool:
    return current is not None and ("*" in tags or etag_of(current) in tags)
