"""`If-Match` and `If-None-Match`: from headers to conditions (RFC 9110 §13.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from guidkeep.errors import Fault, InvalidRequest
from guidkeep.record import ANY, Condition

if TYPE_CHECKING:
    from guidkeep.http.requests import Request

_TAG = r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")'
# Possessive throughout: a long header that is none is refused in one pass.
_list = re.compile(rf"[ \t,]*+(?:{_TAG}[ \t]*+(?:,[ \t,]*+|$))++").fullmatch
_tags = re.compile(_TAG).findall


def parse_condition(
    if_match: bytes | None, if_none_match: bytes | None
) -> tuple[Condition, list[Fault]]:
    """The condition that the two headers state, and what is wrong with them.

    What is no list of entity tags can't be taken for nothing: that would let through what the
    client wanted to be held back.
    """
    faults: list[Fault] = []
    match, weakened = _parse("If-Match", if_match, faults)
    none_match, weak = _parse("If-None-Match", if_none_match, faults)
    if none_match is not None:
        none_match |= weak  # of what is only read a weak tag says enough
    return Condition(match, none_match, weakened), faults


def stated(request: Request) -> tuple[Condition, list[Fault]]:
    """The condition of a request, and what is wrong with it."""
    if b"if-match" not in request.headers and b"if-none-match" not in request.headers:
        return ANY, []
    return parse_condition(request.list_of(b"if-match"), request.list_of(b"if-none-match"))


def condition_of(request: Request) -> Condition:
    """The condition of a request.

    Raises:
        InvalidRequest: something is wrong with it.
    """
    condition, faults = stated(request)
    if faults:
        raise InvalidRequest(faults)
    return condition


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
