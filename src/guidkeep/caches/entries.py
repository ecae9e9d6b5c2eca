"""Entries: what a cache keeps of a record. They are records, not responses.

    1425144345000000 {"guid":"9094E4C980C74043A4B586B420E69DDF","expire":"1427736345","user":"Ann"}

An entry is the version, a space, and the record's JSON. Others may write to a cache on another
machine, so an entry is checked before it is used. Bytes that are not one whole record of that GUID
count as a miss. The content of the record is trusted.
"""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import NoReturn

from guidkeep.record import LAST_EXPIRE, Record

LAST_VERSION = 2**63 - 1
"""The greatest version that stores can compare."""

Entry = tuple[bytes, int, int]
"""A record's JSON, its `expire` and its version. A tuple, not a class: making an object of a class
would cost a hit as much as checking the whole entry."""

_HEAD = rb'(0|[1-9][0-9]{0,18}) (\{"guid":"([0-9A-F]{32})","expire":"(0|[1-9][0-9]{0,11})"'
_STRING = rb'"[ !#-\[\]-~]*+"'
_parts = re.compile(_HEAD + rb"[,}].*)", re.DOTALL).fullmatch
_plain = re.compile(
    _HEAD + rb"(?:,%b:(?:%b|0|[1-9][0-9]*+|true|false|null))*+\})" % (_STRING, _STRING)
).fullmatch
"""A record that one pattern can prove to be JSON, as most are: ASCII without escapes, nesting or
spaces."""


def entry_of(record: Record) -> Entry:
    """Returns the entry of a record."""
    return record.json.encode(), record.expire, record.version


def render(entry: Entry) -> bytes:
    """Returns the entry as bytes."""
    body, _, version = entry
    return b"%d %b" % (version, body)


def parse(kept: bytes) -> Record:
    """Returns the record of an entry that `render` made."""
    found = _parts(kept)
    if found is None:
        raise ValueError("not an entry that render() made")
    version, body, guid, expire = found.groups()
    rest = body[len(b'{"guid":"","expire":""') + len(guid) + len(expire) :]
    metadata = "{" + rest.decode().removeprefix(",")
    return Record(guid.decode(), int(expire), int(version), metadata)


def checked(guid: str, kept: bytes, now: float) -> Entry | None:
    """Checks bytes from a cache; returns the entry, or None if they are not a live record.

    Args:
        guid: the GUID under which they were kept; the record must be of it.
        kept: the bytes.
        now: Unix time in seconds.
    """
    found = _plain(kept)
    if found is None:
        found = _parts(kept)
        if found is None or not _is_json(found[2]):
            return None
    version, body, named, written = found.groups()
    expire, number = int(written), int(version)
    if named.decode() != guid or not now < expire <= LAST_EXPIRE or number > LAST_VERSION:
        return None
    return body, expire, number


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)


_read = JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse).raw_decode
"""Leaves numbers as text, because they may have thousands of digits."""


def _is_json(body: bytes) -> bool:
    """Whether the bytes are exactly one JSON value in UTF-8."""
    try:
        text = body.decode()
        _, end = _read(text)
    except (ValueError, RecursionError):
        return False
    return end == len(text)
