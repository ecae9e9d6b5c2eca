"""What a cache keeps of a record: the record, and nothing of any response about it.

    1425144345000000 {"guid":"9094E4C980C74043A4B586B420E69DDF","expire":"1427736345","user":"Ann"}

The version, a space, and the record's JSON. A cache on another machine may be written by others.
What they write there is trusted to be a record's value and no more: it is looked at before it is
believed, and what is no whole record of that GUID counts as nothing.
"""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import NoReturn

from guidkeep.record import LAST_EXPIRE, Record

LAST_VERSION = 2**63 - 1
"""The greatest that stores can compare."""

Entry = tuple[bytes, int, int]
"""A record as it is told: its JSON, its `expire`, its version. No class: a hit would pay for its
object as much as for the look at the whole of it."""

_HEAD = rb'(0|[1-9][0-9]{0,18}) (\{"guid":"([0-9A-F]{32})","expire":"(0|[1-9][0-9]{0,11})"'
_STRING = rb'"[ !#-\[\]-~]*+"'
_parts = re.compile(_HEAD + rb"[,}].*)", re.DOTALL).fullmatch
_plain = re.compile(
    _HEAD + rb"(?:,%b:(?:%b|0|[1-9][0-9]*+|true|false|null))*+\})" % (_STRING, _STRING)
).fullmatch
"""A record that is JSON at a glance, as most are: ASCII, nothing escaped, nested or spaced."""


def entry_of(record: Record) -> Entry:
    """The entry of a record."""
    return record.json.encode(), record.expire, record.version


def render(entry: Entry) -> bytes:
    """The entry as bytes."""
    body, _, version = entry
    return b"%d %b" % (version, body)


def parse(kept: bytes) -> Record:
    """The record of what `render` made."""
    found = _parts(kept)
    if found is None:
        raise ValueError("not an entry that render() made")
    version, body, guid, expire = found.groups()
    rest = body[len(b'{"guid":"","expire":""') + len(guid) + len(expire) :]
    metadata = "{" + rest.decode().removeprefix(",")
    return Record(guid.decode(), int(expire), int(version), metadata)


def checked(guid: str, kept: bytes, now: float) -> Entry | None:
    """The entry that somebody wrote; None: it is no live record of that GUID, or not whole.

    Args:
        guid: the GUID under which it was kept.
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
"""Numbers stay text: they may have thousands of digits."""


def _is_json(body: bytes) -> bool:
    """Whether that is one whole JSON value in UTF-8."""
    try:
        text = body.decode()
        _, end = _read(text)
    except (ValueError, RecursionError):
        return False
    return end == len(text)
