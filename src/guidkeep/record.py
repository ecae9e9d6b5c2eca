"""What a record is: a GUID, the instant it expires, metadata, a version. Pure: no I/O, no clock.

A record is valid iff `now < expire`. `now` is always a parameter.
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

LAST_EXPIRE = 253_402_300_799
"""9999-12-31T23:59:59Z, the last instant that a date with four digits for its year can name."""

ENVELOPE = 128
"""Bytes that a record on a line may have more than its metadata: for `guid` and `expire`."""

is_guid = re.compile(r"[0-9A-F]{32}").fullmatch
_digits = re.compile(r"[0-9]+").fullmatch
_plain_user = re.compile(r'\{"user":"([^"\\]*)"').match
"""A `user` that comes first and has nothing escaped in it, as most have: a tenth of the time that
it takes to read the whole. The text is known to be an object that has no member twice."""


@dataclass(frozen=True, slots=True)
class Record:
    """A GUID and what is known of it.

    Attributes:
        guid: 32 upper-case hexadecimal digits.
        expire: Unix time in whole seconds; from then on the record does not exist.
        version: of no other record, and greater than the one that it replaced; see
            `new_version`.
        metadata: the text of a JSON object, each member as it came.
    """

    guid: str
    expire: int
    version: int
    metadata: str = field(repr=False)  # so that it gets into no log

    @property
    def json(self) -> str:
        """The record as JSON: one flat object, `guid` and `expire` first."""
        rest = "}" if self.metadata == "{}" else f",{self.metadata[1:]}"
        return f'{{"guid":"{self.guid}","expire":"{self.expire}"{rest}'

    @property
    def size(self) -> int:
        """Bytes of the metadata."""
        text = self.metadata
        return len(text) if text.isascii() else len(text.encode())

    @property
    def user(self) -> str | None:
        """The metadata's `user`, by which records are listed, where it is a string."""
        if plain := _plain_user(self.metadata):
            return plain[1]
        user = parse_object(self.metadata).get("user")
        return user.value if user and isinstance(user.value, str) else None

    def under(self, guid: str, version: int) -> Record:
        """The same under that GUID, in that version."""
        return Record(guid, self.expire, version, self.metadata)

    def is_live(self, now: float) -> bool:
        """Whether the record is valid at `now`, Unix time in seconds."""
        return now < self.expire


@dataclass(slots=True)
class Change:
    """What a request's body asks for, checked as far as that goes without the record.

    Nobody changes it, though nothing keeps anybody from it: to make a frozen object of so many
    attributes takes a microsecond more.

    Attributes:
        guid: the GUID of URL or body; None: one is to be generated.
        expire: Unix time in seconds; None: now and the default lifetime, or `ttl`.
        ttl: seconds from now; None: nothing is said of it.
        sets_expire: whether the body says when the record expires, be it by a null `expire`.
        names_ttl: whether `ttl` is among the members, be it null.
        metadata: the other members.
        misspelt: names among them that are probably meant for `guid`, `expire` or `ttl`.
        faults: what is wrong with the body. Raised by the registry, together with what the
            schema finds, so that the client hears of everything at once.
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
        """When the record expires if the change is made at `now`; None: the default lifetime."""
        return self.expire if self.ttl is None else min(int(now) + self.ttl, LAST_EXPIRE)


class Condition(Protocol):
    """What must hold of the live record for a write to be done."""

    def require(self, current: Record | None) -> None:
        """Raises PreconditionFailed unless it holds; None: there is no live record."""
        ...


class _Always:
    def require(self, current: Record | None) -> None:
        """Holds."""


ALWAYS: Condition = _Always()
"""The condition of a write that has none."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which live records a list is of.

    Attributes:
        limit: at most so many, 1 to 1000.
        after: only GUIDs greater than this one.
        user: only those whose metadata's `user` is this string.
        expires_before: only those that expire before this Unix time, in seconds.
        until: only GUIDs up to this one, itself included.
        by_expire: how a store finds them: the records that expire before `expires_before` by
            their `expire`, to be sorted. Otherwise it walks in the order of the GUIDs.
    """

    limit: int = 100
    after: str | None = None
    user: str | None = field(default=None, repr=False)
    expires_before: int | None = None
    until: str | None = None
    by_expire: bool = False


def share_of(guid: str) -> float:
    """How much of all GUIDs lies before it, from 0 to 1: random ones lie evenly."""
    return int(guid[:8], 16) / (1 << 32)


def new_guid() -> str:
    """A random GUID: RFC 9562, version 4.

    Nothing random is kept for the next: a process that forks would leave it to both.
    """
    return guid_of(urandom(16))


def guid_of(random: bytes) -> str:
    """The GUID of version 4 (RFC 9562) that sixteen bytes make; six of their bits are dropped."""
    digits = random.hex().upper()
    return f"{digits[:12]}4{digits[13:16]}{'89AB'[int(digits[16], 16) & 3]}{digits[17:]}"


def new_version(now: float, former: Record | None) -> int:
    """A version for what is written at `now` (Unix time in seconds) in the place of `former`.

    The time in milliseconds, 42 bits until the year 2109, and 21 random bits. The time alone would
    not do: two nodes write in one instant, or by clocks that differ, and if a deletion lies between
    their writes neither knows of the other's. Under one version there would be two records, and
    whoever means to replace the first would replace the second.
    """
    before = former.version if former else 0
    return max(int(now * 1000) << 21, before) + 1 + getrandbits(21)


def guid_fault(text: object) -> str | None:
    """What is wrong with a GUID, as a sentence, or None."""
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
    """Reads a request's body; an empty one is `{}`.

    Args:
        body: the JSON text.
        now: Unix time in seconds.
        guid: the GUID of the URL, if it has one.
        faults: what is wrong with the rest of the request.

    Raises:
        InvalidRequest: the body is no JSON object. What is wrong with single members comes
            back in the change's `faults`.
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
        detail = "ttl stands in the place of expire: give one of the two."
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
    """Whether it is a GUID, in whatever spelling."""
    return is_guid(_bare(text)) is not None


def _is_meant(lower: str, value: object) -> bool:
    """Whether such a name is meant for another; one like `guid` is only where the value is one."""
    return lower != "guid" or (isinstance(value, str) and spells_guid(value))


def _bare(text: str) -> str:
    """A GUID without braces and dashes, in upper case, if it is one so written."""
    return text.strip("{}").replace("-", "").upper()


def _read(
    member: Member,
    parse: Callable[[Any, int], int],
    now: int,
    faults: list[Fault],
    pointer: str,
) -> int | None:
    """What `parse` makes of the member; None: it is null, or at fault."""
    if member.value is None:
        return None
    try:
        return parse(member.value, now)
    except ValueError as error:
        faults.append(Fault(str(error), pointer=pointer))
        return None


def parse_expire(value: Any, now: int) -> int:
    """Reads `expire`: Unix time in whole seconds, as a string of digits or an integer.

    Raises:
        ValueError: it is something else, lies in the past, or after `LAST_EXPIRE`.
    """
    expire = parse_seconds(value)
    if expire is None:
        raise ValueError(
            "expire must be Unix time in whole seconds, a string of digits or an integer, "
            f'as in "{now + 86_400}".'
        )
    if LAST_EXPIRE < expire <= LAST_EXPIRE * 1000 and expire // 1000 > now:
        raise ValueError(
            "expire is so large that it must be in milliseconds; it is Unix time in whole "
            f'seconds: "{expire // 1000}".'
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
    """Reads `ttl`: whole seconds from now, as a string of digits or an integer.

    Raises:
        ValueError: it is something else, less than 1, or leads beyond `LAST_EXPIRE`.
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
            "ttl is too large: the record would expire after 9999-12-31T23:59:59Z; at most "
            f"{LAST_EXPIRE - now} seconds are left until then."
        )
    return ttl


def parse_seconds(value: object) -> int | None:
    """A whole number of seconds: a string of ASCII digits or an integer; None: something else."""
    if isinstance(value, str) and _digits(value):
        significant = value.lstrip("0") or "0"
        return int(significant) if len(significant) < len(str(LAST_EXPIRE)) * 2 else 10**30
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def instant(seconds: int) -> str:
    """A Unix time in RFC 3339's form, in UTC; years beyond a date's range as they are."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "long ago" if seconds < 0 else "after the year 9999"


def shortened(text: str, length: int = 64) -> str:
    """Somebody's text, cut so that it can stand in a sentence."""
    return text if len(text) <= length else f"{text[:length]}…"
