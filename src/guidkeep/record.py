"""Records: a GUID, the instant at which it expires, metadata, a version. Pure: no I/O, no clock.

A record is live iff `now < expire`. `now` is always a parameter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import urandom
from random import getrandbits
from typing import TYPE_CHECKING, Any, Protocol

from guidkeep.errors import Fault
from guidkeep.jsontext import parse_object
from guidkeep.misspelt import folded, is_misspelt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from guidkeep.jsontext import Member

DEFAULT_LIFETIME = 30 * 86_400
"""Seconds that a record lives when it is created without `expire`, unless a setting says otherwise:
30 days."""
DEFAULT_MAX_RECORD = 64 * 1024
"""Maximum bytes of a record's metadata, unless a setting says otherwise."""
DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
"""Records in a page of a list: unless a request says otherwise, and at most."""
FORECAST_DAYS = 90
"""Days for which the records that expire are counted, today included."""
LAST_EXPIRE = 253_402_300_799
"""9999-12-31T23:59:59Z, the last instant with a year of four digits.

It bounds what is stored and read, not only what is requested: a cache's entry with a later `expire`
counts as foreign. A narrower rule on requests needs a constant of its own."""

ENVELOPE = 128
"""Bytes that a record on a line may have beyond its metadata, for `guid` and `expire`."""

is_guid = re.compile(r"[0-9A-F]{32}").fullmatch
_digits = re.compile(r"[0-9]+").fullmatch
_plain_user = re.compile(r'\{"user":"([^"\\]*)"').match
"""A `user` that is the first member and has no escapes, as in most records. It takes a tenth of the
time of parsing the whole text. The text must be a JSON object without duplicate members."""


@dataclass(frozen=True, slots=True)
class Record:
    """A GUID with its expire, version and metadata.

    Attributes:
        guid: 32 upper-case hexadecimal digits.
        expire: Unix time in whole seconds; from then on the record does not exist.
        version: unique, and greater than the version that it replaced; see `new_version`.
        metadata: the text of a JSON object, each member exactly as the client sent it.
    """

    guid: str
    expire: int
    version: int
    metadata: str = field(repr=False)  # keeps it out of logs

    @property
    def json(self) -> str:
        """The record as JSON: one flat object, `guid` and `expire` first."""
        rest = "}" if self.metadata == "{}" else f",{self.metadata[1:]}"
        return f'{{"guid":"{self.guid}","expire":"{self.expire}"{rest}'

    @property
    def size(self) -> int:
        """The size of the metadata in bytes."""
        text = self.metadata
        return len(text) if text.isascii() else len(text.encode())

    @property
    def user(self) -> str | None:
        """The metadata's `user` if it is a string, else None. Lists filter by it."""
        if plain := _plain_user(self.metadata):
            return plain[1]
        user = parse_object(self.metadata).get("user")
        return user.value if user and isinstance(user.value, str) else None

    def under(self, guid: str, version: int) -> Record:
        """Returns the same record under that GUID and version."""
        return Record(guid, self.expire, version, self.metadata)

    def is_live(self, now: float) -> bool:
        """Whether the record is live at `now`, Unix time in seconds."""
        return now < self.expire


@dataclass(slots=True)
class Change:
    """The change that a request's body asks for, checked as far as possible without the record.

    Treat it as immutable. It is not frozen, because a frozen object of this size takes a
    microsecond longer to make.

    Attributes:
        guid: the GUID of the URL or the body; None: generate one.
        expire: Unix time in seconds; None: now plus the default lifetime, or plus `ttl`.
        ttl: seconds from now; None: not given.
        sets_expire: whether the body sets the expiry; a null `expire` counts.
        names_ttl: whether the body has the member `ttl`; null counts.
        metadata: the other members.
        misspelt: names in `metadata` that are probably meant for `guid`, `expire` or `ttl`.
        faults: the faults of the body. The registry raises them together with the faults that the
            schema finds, so that the client gets all of them at once.
        size: bytes of the body.
    """

    guid: str | None = None
    expire: int | None = None
    ttl: int | None = None
    sets_expire: bool = False
    names_ttl: bool = False
    metadata: Mapping[str, Member] = field(default_factory=dict, repr=False)
    misspelt: Sequence[str] = ()
    faults: Sequence[Fault] = ()
    size: int = field(default=0, compare=False)

    def expire_at(self, now: float) -> int | None:
        """The expiry if the change is made at `now`; None: after the default lifetime."""
        return self.expire if self.ttl is None else min(int(now) + self.ttl, LAST_EXPIRE)


class Condition(Protocol):
    """A condition on the live record; a write is done only if it holds."""

    def require(self, current: Record | None) -> None:
        """Raises PreconditionFailed unless the condition holds; None: there is no live record."""
        ...


class _Always:
    def require(self, current: Record | None) -> None:
        """Does nothing: this condition always holds."""


ALWAYS: Condition = _Always()
"""The condition of a write that has none."""


@dataclass(frozen=True, slots=True)
class Query:
    """The live records that a list asks for.

    Attributes:
        limit: the maximum number of records, 1 to `MAX_LIMIT`.
        after: only GUIDs greater than this one.
        user: only records whose metadata has this `user`.
        expires_before: only records that expire before this Unix time, in seconds.
        until: only GUIDs up to and including this one.
        by_expire: whether the store finds the records by their `expire` and sorts them. Otherwise
            it walks in the order of the GUIDs.
    """

    limit: int = DEFAULT_LIMIT
    after: str | None = None
    user: str | None = field(default=None, repr=False)
    expires_before: int | None = None
    until: str | None = None
    by_expire: bool = False


def share_of(guid: str) -> float:
    """The share of all GUIDs that sort before this one, from 0 to 1, if GUIDs are random."""
    return int(guid[:8], 16) / (1 << 32)


def new_guid() -> str:
    """Returns a random GUID: RFC 9562, version 4.

    No random bytes are kept for later: after a fork both processes would use the same.
    """
    return guid_of(urandom(16))


def guid_of(random: bytes) -> str:
    """Makes a GUID of version 4 (RFC 9562) from sixteen bytes; six of their bits are dropped."""
    digits = random.hex().upper()
    return f"{digits[:12]}4{digits[13:16]}{'89AB'[int(digits[16], 16) & 3]}{digits[17:]}"


def new_version(now: float, former: Record | None) -> int:
    """Returns a version for a record written at `now` (Unix time in seconds) to replace `former`.

    It is the time in milliseconds (42 bits until the year 2109) and 21 random bits. The time alone
    is not enough. Two nodes may write at the same instant, or by clocks that differ; if a deletion
    comes between their writes, neither knows of the other's. Two records would then have the same
    version, and a write meant to replace the first would replace the second.
    """
    before = former.version if former else 0
    return max(int(now * 1000) << 21, before) + 1 + getrandbits(21)


def guid_fault(text: object) -> str | None:
    """Returns a sentence that says why a text is not a GUID, or None if it is one."""
    if not isinstance(text, str):
        return "A GUID is a string of 32 upper-case hexadecimal digits."
    if is_guid(text):
        return None
    bare = _bare(text)
    if is_guid(bare):
        why = "GUIDs are upper-case" if len(text) == len(bare) else "GUIDs have no dashes or braces"
        return f"{why}: write {bare}."
    return f"A GUID is 32 upper-case hexadecimal digits (0-9, A-F); {shortened(text)!r} is not."


def parse_change(
    body: bytes, *, now: int, guid: str | None = None, faults: Sequence[Fault] = ()
) -> Change:
    """Parses a request's body; an empty body is `{}`.

    Args:
        body: the JSON text.
        now: Unix time in seconds.
        guid: the GUID of the URL, if it has one.
        faults: the faults of the rest of the request.

    Raises:
        InvalidRequest: the body is not a JSON object. Faults of single members are returned in
            the change's `faults`.
    """
    members = parse_object(body) if body else {}
    faults = list(faults)
    if guid is not None and (wrong := guid_fault(guid)):
        faults.append(Fault(wrong, parameter="guid"))
    if named := members.pop("guid", None):
        if wrong := guid_fault(named.value):
            faults.append(Fault(wrong, pointer="/guid"))
        elif guid is not None and named.value != guid:
            detail = f"The GUID can't be changed: the URL says {shortened(guid)}; leave it out."
            faults.append(Fault(detail, pointer="/guid"))
        else:
            guid = named.value
    expire, ttl = members.pop("expire", None), members.pop("ttl", None)
    if expire and expire.value is not None and ttl and ttl.value is not None:
        detail = "expire and ttl can't be given together: leave one out."
        faults.append(Fault(detail, pointer="/ttl"))
    return Change(
        guid,
        expire=_read(expire, parse_expire, now, faults, "/expire") if expire else None,
        ttl=_read(ttl, parse_ttl, now, faults, "/ttl") if ttl else None,
        sets_expire=expire is not None or (ttl is not None and ttl.value is not None),
        names_ttl=ttl is not None,
        metadata=members,
        misspelt=[
            name
            for name, member in members.items()
            if is_misspelt(lower := folded(name)) and _is_meant(lower, member.value)
        ],
        faults=faults,
        size=len(body),
    )


def spells_guid(text: str) -> bool:
    """Whether the text is a GUID, in any spelling: lower case, with dashes or braces."""
    return is_guid(_bare(text)) is not None


def _is_meant(lower: str, value: object) -> bool:
    """Whether a name is a misspelling. One like `guid` is only if the value is a GUID."""
    return lower != "guid" or (isinstance(value, str) and spells_guid(value))


def _bare(text: str) -> str:
    """The text without braces and dashes, in upper case."""
    return text.strip("{}").replace("-", "").upper()


def _read(
    member: Member,
    parse: Callable[[Any, int], int],
    now: int,
    faults: list[Fault],
    pointer: str,
) -> int | None:
    """Returns the member's value as `parse` reads it; None: it is null, or wrong."""
    if member.value is None:
        return None
    try:
        return parse(member.value, now)
    except ValueError as error:
        faults.append(Fault(str(error), pointer=pointer))
        return None


def parse_expire(value: Any, now: int) -> int:
    """Parses `expire`: Unix time in whole seconds, as a string of digits or an integer.

    Raises:
        ValueError: it is of another kind, not after `now`, or after `LAST_EXPIRE`.
    """
    expire = parse_seconds(value)
    if expire is None:
        raise ValueError(
            "expire must be Unix time in whole seconds, a string of digits or an integer, "
            f'as in "{now + 86_400}".'
        )
    if LAST_EXPIRE < expire <= LAST_EXPIRE * 1000 and expire // 1000 > now:
        raise ValueError(
            "expire is too large: it seems to be in milliseconds. It is Unix time in whole "
            f'seconds: write "{expire // 1000}".'
        )
    if expire > LAST_EXPIRE:
        raise ValueError(f'expire must not be after 9999-12-31T23:59:59Z, "{LAST_EXPIRE}".')
    if expire <= now:
        raise ValueError(
            f"expire must lie in the future; {shortened(str(expire))} is {instant(expire)}, "
            f"now is {instant(now)}."
        )
    return expire


def parse_ttl(value: Any, now: int) -> int:
    """Parses `ttl`: whole seconds from now, as a string of digits or an integer.

    Raises:
        ValueError: it is of another kind, less than 1, or leads beyond `LAST_EXPIRE`.
    """
    ttl = parse_seconds(value)
    if ttl is None:
        raise ValueError(
            "ttl must be a whole number of seconds from now, an integer or a string of digits, "
            "as in 3600."
        )
    if ttl < 1:
        raise ValueError("ttl must be at least 1: a number of seconds from now.")
    if ttl > LAST_EXPIRE - now:
        raise ValueError(
            "ttl is too large: the record would expire after 9999-12-31T23:59:59Z; the maximum is "
            f"{LAST_EXPIRE - now}."
        )
    return ttl


def parse_seconds(value: object) -> int | None:
    """Parses a whole number of seconds: a string of ASCII digits or an integer; else None."""
    if isinstance(value, str) and _digits(value):
        significant = value.lstrip("0") or "0"
        return int(significant) if len(significant) < len(str(LAST_EXPIRE)) * 2 else 10**30
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def instant(seconds: int) -> str:
    """A Unix time in the form of RFC 3339, in UTC; in words if it is beyond the range of a date."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "long ago" if seconds < 0 else "after the year 9999"


def shortened(text: str, length: int = 64) -> str:
    """A text from outside, cut short so that it fits into a sentence."""
    return text if len(text) <= length else f"{text[:length]}…"
