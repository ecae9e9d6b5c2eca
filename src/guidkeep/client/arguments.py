"""What the client sends: members of a record, as a mapping or as JSON text whose digits count."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final, Literal

from guidkeep.client.responses import strong
from guidkeep.errors import Fault, InvalidRequest
from guidkeep.jsontext import Member, format_object, parse_object
from guidkeep.record import guid_fault, parse_seconds, shortened

SECOND = timedelta(seconds=1)


class _Keep(Enum):
    KEEP = "KEEP"


KEEP: Final = _Keep.KEEP
"""For `expire`: nothing is said of it. An update leaves it; a creation takes the default."""


class _Any(Enum):
    ANY = "ANY"


ANY: Final = _Any.ANY
"""For `if_match`: whatever the version is."""

IfMatch = str | Literal[_Any.ANY] | None
"""A version, as in `Record.etag`, or `ANY`. None is refused: a record of a list has no version, and
a write that was meant to be held back would go through."""

Metadata = Mapping[str, Any] | str | bytes
"""Members of a record: a mapping, or the text of a JSON object, which is kept as it is written."""

Expire = int | datetime | timedelta | None | Literal[_Keep.KEEP]
"""Unix time in whole seconds, an instant with its zone, or a time from now (by the clock of this
machine). None: the default lifetime from now."""


Ttl = int | timedelta | None
"""Seconds from now, by the clock of the service: whole ones, or a `timedelta`, whose fraction of a
second is left out. None: nothing is said of it."""


def members_of(metadata: Metadata, expire: Expire = KEEP, ttl: Ttl = None) -> dict[str, Member]:
    """The members that are to be sent, each with its text.

    Raises:
        InvalidRequest: a text is no JSON object; as the service would refuse it.
        ValueError, TypeError: a value can't be JSON, or `expire` is no instant.
    """
    if isinstance(metadata, Mapping):
        members = {name: _member(name, value) for name, value in metadata.items()}
    else:
        members = parse_object(metadata)
    if not isinstance(expire, _Keep):
        members["expire"] = _member("expire", unix_time(expire))
    if ttl is not None:
        members["ttl"] = _member("ttl", ttl // SECOND if isinstance(ttl, timedelta) else ttl)
    return members


def aged(members: Mapping[str, Member], seconds: int) -> Mapping[str, Member]:
    """The members with what is left of `ttl` after so many seconds, one at least."""
    ttl = members.get("ttl")
    asked = parse_seconds(ttl.value) if ttl and seconds else None
    if asked is None or asked < 1:
        return members
    return {**members, "ttl": _member("ttl", max(asked - seconds, 1))}


def body_of(members: Mapping[str, Member]) -> bytes:
    """The text of the object, for the wire."""
    return format_object(dict(members)).encode(errors="surrogatepass")  # the service refuses those


def unix_time(expire: int | datetime | timedelta | None) -> int | None:
    """That instant as Unix time in whole seconds.

    Raises:
        ValueError: it has no zone.
    """
    if isinstance(expire, timedelta):
        return int(time.time() + expire.total_seconds())
    if isinstance(expire, datetime):
        if expire.tzinfo is None:
            raise ValueError("expire has no time zone: give it one, as in tzinfo=UTC")
        return int(expire.timestamp())
    return expire


def conditions_of(if_match: IfMatch) -> dict[str, str]:
    """The headers that state it.

    Raises:
        ValueError: it is None.
        InvalidRequest: no header can carry it.
    """
    if if_match is None:
        raise ValueError("if_match is None: lists do not tell a record's version, `read` does")
    return {} if isinstance(if_match, _Any) else {"if-match": checked_etag(if_match)}


def checked_etag(etag: str) -> str:
    """The version as the service wrote it, if a header can carry it.

    Raises:
        InvalidRequest: it can't.
    """
    if not (etag.isascii() and etag.isprintable()) or etag != etag.strip():
        raise InvalidRequest(f"{shortened(etag)!r} is no version of a record: none is so written.")
    return strong(etag)


def checked(guid: str) -> str:
    """The GUID, if it is one: nothing else may become a part of an address.

    Raises:
        InvalidRequest: it is none; as the service would refuse it.
    """
    if wrong := guid_fault(guid):
        raise InvalidRequest([Fault(wrong, parameter="guid")])
    return guid


def _member(name: str, value: Any) -> Member:
    key = json.dumps(name, ensure_ascii=False)
    return Member(key, json.dumps(value, ensure_ascii=False, allow_nan=False), value)
