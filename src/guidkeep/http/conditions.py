"""`If-Match` and `If-None-Match`: from headers to conditions (RFC 9110 §13.1)."""

from __future__ import annotations

import re

from guidkeep.errors import Fault, InvalidRequest
from guidkeep.record import Condition

ANY = Condition()
"""What a request without the two headers states."""

_TAG = r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")'
_list = re.compile(rf"[ \t,]*{_TAG}([ \t]*,[ \t]*({_TAG})?)*[ \t]*").fullmatch
_tags = re.compile(_TAG).findall


def parse_condition(if_match: bytes | None, if_none_match: bytes | None) -> Condition:
    """The condition that the two headers state.

    Raises:
        InvalidRequest: one of them is no list of entity tags. Taking it for nothing would let
            through what the client wanted to be held back.
    """
    if if_match is None and if_none_match is None:
        return ANY
    return Condition(
        _parse("If-Match", if_match, weak_counts=False),
        _parse("If-None-Match", if_none_match, weak_counts=True),
    )


def _parse(name: str, value: bytes | None, *, weak_counts: bool) -> frozenset[str] | None:
    if value is None:
        return None
    text = value.decode("latin-1")
    if text.strip() == "*":
        return frozenset("*")
    if not _list(text):
        detail = f'{name} must be * or entity tags with their quotes, as in "1427736345000000".'
        raise InvalidRequest([Fault(detail, parameter=name)])
    return frozenset(tag for weak, tag in _tags(text) if weak_counts or not weak)
