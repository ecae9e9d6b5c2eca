"""What a cache keeps of a record: the record, and nothing of any answer about it.

    1425144345000000 {"guid":"9094E4C980C74043A4B586B420E69DDF","expire":"1427736345","user":"Ann"}

The version, a space, and the record's JSON. A cache on another machine may be written by others.
What they write there is trusted to be a record's value and no more: it is looked at before it is
believed, and what is no whole record of that GUID counts as nothing.
"""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import NamedTuple, NoReturn

from guidkeep.record import LAST_EXPIRE, Record

LAST_VERSION = 2**63 - 1
"""The greatest that stores can compare."""

_parts = re.compile(
    rb'(0|[1-9][0-9]{0,18}) (\{"guid":"([0-9A-F]{32})","expire":"(0|[1-9][0-9]{0,11})"([,}].*))',
    re.DOTALL,
).fullmatch


class Entry(NamedTuple):
    """A record as it is told.

    Attributes:
        body: its JSON.
        expire: Unix time in whole seconds.
        version: see `Record`.
    """

    body: bytes
    expire: int
    version: int

    @classmethod
    def of(cls, record: Record) -> Entry:
        """The entry of a record."""
        return cls(record.body.encode(), record.expire, record.version)


def render(entry: Entry) -> bytes:
    """The entry as bytes."""
    return b"%d %b" % (entry.version, entry.body)


def parse(kept: bytes) -> Record:
    """The record of what `render` made."""
    found = _parts(kept)
    if found is None:
        raise ValueError("not an entry that render() made")
    version, _, guid, expire, rest = found.groups()
    metadata = "{" + rest.decode().removeprefix(",")
    return Record(guid.decode(), int(expire), int(version), metadata)


def checked(guid: str, kept: bytes, now: float) -> Entry | None:
    """The entry that somebody wrote; None: it is no live record of that GUID, or not whole.

    Args:
        guid: the GUID under which it was kept.
        kept: the bytes.
        now: Unix time in seconds.
    """
    found = _parts(kept)
    if found is None:
        return None
    entry = Entry(found[2], int(found[4]), int(found[1]))
    is_possible = now < entry.expire <= LAST_EXPIRE and entry.version <= LAST_VERSION
    return entry if is_possible and found[3] == guid.encode() and _is_json(entry.body) else None


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)


_read = JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse).raw_decode
"""Numbers stay text: they may have thousands of digits."""


def _is_json(body: bytes) -> bool:
    """Whether that is one whole JSON value in UTF-8."""
    try:
        text = body.decode()
        _, end = _read(text)
    except (ValueError, RecursionError):
        return False
    return end == len(text)
