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
# Possessive throughout: a long header that is none is refused in one pass.
_list = re.compile(rf"[ \t,]*+(?:{_TAG}[ \t]*+(?:,[ \t,]*+|$))++").fullmatch
_tags = re.compile(_TAG).findall


@dataclass(frozen=True, slots=True)
class Preconditions:
    """`If-Match` and `If-None-Match` (RFC 9110 §13.1): the registry's condition, as HTTP says it.

    Attributes:
        if_match: the entity tags that the header lists, or `*`; None: it was not there.
        if_none_match: the same.
        weakened: the weak tags of `If-Match`, without their `W/`, for the refusal's sentence. A
            weak tag never matches there.
    """

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None
    weakened: frozenset[str] = field(default=frozenset(), compare=False)

    def match_holds(self, current: Record | None) -> bool:
        """Whether `If-Match` lets the request through."""
        return self.if_match is None or _lists(self.if_match, current)

    def none_match_holds(self, current: Record | None) -> bool:
        """Whether `If-None-Match` lets the request through."""
        return self.if_none_match is None or not _lists(self.if_none_match, current)

    def require_match(self, current: Record | None) -> None:
        """Raises PreconditionFailed unless `If-Match` holds for the live record."""
        if not self.match_holds(current):
            state = f"its ETag is {etag_of(current)}" if current else "there is no live record"
            if self.weakened:
                raise PreconditionFailed(
                    f"If-Match has a weak tag, W/{min(self.weakened)}, which never matches: "
                    "something between client and service, a proxy that compresses say, has "
                    f"weakened it. Send it without W/; {state}."
                )
            raise PreconditionFailed(f"If-Match names another version of the record: {state}.")

    def require(self, current: Record | None) -> None:
        """Raises PreconditionFailed unless all of it holds for the live record."""
        self.require_match(current)
        if current is not None and not self.none_match_holds(current):
            raise PreconditionFailed(
                "If-None-Match rules this out: there is a live record, its ETag is "
                f"{etag_of(current)}."
            )


UNCONDITIONAL = Preconditions()
"""The preconditions of a request without the two headers."""


def parse(if_match: bytes | None, if_none_match: bytes | None) -> tuple[Preconditions, list[Fault]]:
    """The preconditions that the two headers state, and what is wrong with them.

    A header that is no list of entity tags is refused, not ignored: the request would pass though
    the client wanted it to be held back.
    """
    faults: list[Fault] = []
    match, weakened = _parse("If-Match", if_match, faults)
    none_match, weak = _parse("If-None-Match", if_none_match, faults)
    if none_match is not None:
        none_match |= weak  # If-None-Match compares weakly (RFC 9110 §13.1.2)
    return Preconditions(match, none_match, weakened), faults


def stated(request: Request) -> tuple[Preconditions, list[Fault]]:
    """The preconditions of a request, and what is wrong with them."""
    if b"if-match" not in request.headers and b"if-none-match" not in request.headers:
        return UNCONDITIONAL, []
    return parse(request.list_of(b"if-match"), request.list_of(b"if-none-match"))


def preconditions_of(request: Request) -> Preconditions:
    """The preconditions of a request.

    Raises:
        InvalidRequest: something is wrong with them.
    """
    preconditions, faults = stated(request)
    if faults:
        raise InvalidRequest(faults)
    return preconditions


def _parse(
    name: str, value: bytes | None, faults: list[Fault]
) -> tuple[frozenset[str] | None, frozenset[str]]:
    """The strong tags that a header lists, and the weak ones without their `W/`."""
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
