"""The arguments of operations: members as a mapping or JSON text, times, versions, GUIDs."""

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
"""For `expire`: sends none. An update keeps the expiry; a creation gets the default."""


class _Any(Enum):
    ANY = "ANY"


ANY: Final = _Any.ANY
"""For `if_match`: any version."""

IfMatch = str | Literal[_Any.ANY] | None
"""A version, from `Record.etag`, or `ANY`. None is refused: a record of a list has no version, and
a write that was meant to be conditional would go through."""

Metadata = Mapping[str, Any] | str | bytes
"""Members of a record: a mapping, or the text of a JSON object, which is kept as written."""

Expire = int | datetime | timedelta | None | Literal[_Keep.KEEP]
"""Unix time in whole seconds, an instant with its time zone, or a time from now (by this machine's
clock). None: the default lifetime from now."""


Ttl = int | timedelta | None
"""Whole seconds from now, or a `timedelta`, by the service's clock; fractions are dropped. None:
sends none."""


def members_of(metadata: Metadata, expire: Expire = KEEP, ttl: Ttl = None) -> dict[str, Member]:
    """Returns the members to send, each with its text.

    Raises:
        InvalidRequest: a text is not a JSON object; the same error as the service's.
        ValueError, TypeError: a value can't be JSON, or `expire` is not an instant.
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
    """Returns the members with the rest of `ttl` after some seconds, at least one."""
    ttl = members.get("ttl")
    asked = parse_seconds(ttl.value) if ttl and seconds else None
    if asked is None or asked < 1:
        return members
    return {**members, "ttl": _member("ttl", max(asked - seconds, 1))}


def body_of(members: Mapping[str, Member]) -> bytes:
    """Returns the text of the JSON object, encoded."""
    return format_object(dict(members)).encode(errors="surrogatepass")  # the service refuses those


def unix_time(expire: int | datetime | timedelta | None) -> int | None:
    """Returns an instant as Unix time in whole seconds.

    Raises:
        ValueError: it has no time zone.
    """
    if isinstance(expire, timedelta):
        return int(time.time() + expire.total_seconds())
    if isinstance(expire, datetime):
        if expire.tzinfo is None:
            raise ValueError("expire has no time zone: give it one, as in tzinfo=UTC")
        return int(expire.timestamp())
    return expire


def conditions_of(if_match: IfMatch) -> dict[str, str]:
    """Returns the headers for `if_match`.

    Raises:
        ValueError: it is None.
        InvalidRequest: it can't be in a header.
    """
    if if_match is None:
        raise ValueError("if_match is None: records of lists have no version; use `read`")
    return {} if isinstance(if_match, _Any) else {"if-match": checked_etag(if_match)}


def checked_etag(etag: str) -> str:
    """Returns the version in the service's form.

    Raises:
        InvalidRequest: it can't be in a header.
    """
    if not (etag.isascii() and etag.isprintable()) or etag != etag.strip():
        raise InvalidRequest(f"{shortened(etag)!r} is not a version of a record.")
    return strong(etag)


def checked(guid: str) -> str:
    """Returns the GUID if it is valid: nothing else may become part of a path.

    Raises:
        InvalidRequest: it is not valid; the same error as the service's.
    """
    if wrong := guid_fault(guid):
        raise InvalidRequest([Fault(wrong, parameter="guid")])
    return guid


def _member(name: str, value: Any) -> Member:
    key = json.dumps(name, ensure_ascii=False)
    return Member(key, json.dumps(value, ensure_ascii=False, allow_nan=False), value)
