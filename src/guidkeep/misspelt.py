"""Names that are probably misspellings of a record's own members: `guid`, `expire` and `ttl`.

Stored as metadata, `{"expires": ...}` would leave the record with the default lifetime, and
`{"GUID": ...}` with a random GUID. The mistake might be noticed only a month later.
"""

from __future__ import annotations

STORED = ("guid", "expire")
"""The members that every record has; all others are metadata."""
OWN = (*STORED, "ttl")
"""The names that a request gives a meaning; `ttl` is stored as the `expire` that it makes."""

_EXPIRE = 'write "expire" for Unix time in seconds, or "ttl" for seconds from now'
_TTL = 'write "ttl" for seconds from now, or "expire" for Unix time in seconds'

_MEANT = {
    "guid": 'write "guid"',
    **dict.fromkeys(("expire", "expires", "expiry", "expiration", "exp"), _EXPIRE),
    **{f"{verb}{gap}at": _EXPIRE for verb in ("expire", "expires") for gap in ("", "_", "-", " ")},
    "ttl": _TTL,
    **{f"{verb}{gap}in": _TTL for verb in ("expire", "expires") for gap in ("", "_", "-", " ")},
}
"""The advice for each misspelling, by name in lower case."""

_LIKELY = {
    **dict.fromkeys(("guids", "id", "uuid"), "guid"),
    **{
        f"{stem}{end}": "expire"
        for stem in ("exp", "expire", "expires", "expired", "expiry", "expiration")
        for end in ("at", "date", "dateutc", "datetime", "on", "time", "timestamp", "utc")
    },
    **{f"ttl{unit}": "ttl" for unit in ("s", "sec", "secs", "seconds", "inseconds")},
    "timetolive": "ttl",
}
"""The member that a CSV column may be meant for, by the heading's letters and digits in lower case.

In a request's body each of these names is metadata: programs, not people, write those.
"""

is_misspelt = frozenset(_MEANT).__contains__
"""Whether a name, as `folded` returns it, is a probable misspelling."""


def folded(name: str) -> str:
    """The name in lower case, without invisible characters: outer spaces, zero-width marks."""
    if not name.isascii():
        name = "".join(filter(str.isprintable, name))
    return name.strip().lower()


def likely_member(heading: str) -> str | None:
    """The member that a column with that heading may be meant for; None: it is metadata."""
    bare = "".join(filter(str.isalnum, heading)).casefold()
    return bare if bare in OWN else _LIKELY.get(bare)


def meant_by(name: str) -> str:
    """A sentence that names the right member."""
    return f'"{name}" is not a member of a record: {_MEANT[folded(name)]}.'
