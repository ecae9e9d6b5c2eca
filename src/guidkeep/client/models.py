"""The client's results: records, pages, results of writes, statistics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from guidkeep.jsontext import lenient
from guidkeep.misspelt import STORED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guidkeep.errors import GuidkeepError


@dataclass(frozen=True)
class Record:
    """A live record, as the service returned it.

    Attributes:
        text: its JSON, character for character (in an export, a line break between tokens is a
            space): one flat object, `guid` and `expire` first.
        etag: its version as an entity tag, for `if_match`; None in lists and exports.
    """

    text: str
    etag: str | None = None

    @cached_property
    def _members(self) -> dict[str, Any]:
        members: dict[str, Any] = lenient.decode(self.text)
        return members

    @property
    def guid(self) -> str:
        """32 upper-case hexadecimal digits."""
        guid: str = self._members["guid"]
        return guid

    @property
    def expire(self) -> int:
        """Unix time in whole seconds; from then on the record does not exist."""
        return int(self._members["expire"])

    @property
    def expires(self) -> datetime:
        """The same instant, in UTC."""
        return datetime.fromtimestamp(self.expire, UTC)

    @property
    def metadata(self) -> dict[str, Any]:
        """The other members, decoded. Only `text` has the digits of numbers as written."""
        return {name: value for name, value in self._members.items() if name not in STORED}

    @property
    def user(self) -> str | None:
        """The metadata's `user`, if it is a string."""
        user = self._members.get("user")
        return user if isinstance(user, str) else None


class Written(NamedTuple):
    """The result of a write.

    Attributes:
        record: the record after the write.
        created: whether there was none before. After a lost response it may be False for a record
            that this call created.
    """

    record: Record
    created: bool


class Page(NamedTuple):
    """A part of a list.

    Attributes:
        records: in the order of their GUIDs. There may be fewer than `limit`, or none, although
            there are more: a page ends when the service has examined enough records.
        after: the GUID after which the next page begins; None: there are no more.
    """

    records: Sequence[Record]
    after: str | None

    @property
    def more(self) -> bool:
        """Whether there may be more records after this page."""
        return self.after is not None


class Line(NamedTuple):
    """The result of one line of a bulk write.

    Attributes:
        number: the number of the line, from 1.
        status: the HTTP status that a single request would have got; the error's status, if there
            was no response.
        guid: the GUID of the line; None if it had no valid one.
        etag: the record's version, if it was written; None if an attempt whose response was lost
            wrote it.
        error: the reason if it was not written, else None.
    """

    number: int
    status: int
    guid: str | None
    etag: str | None
    error: GuidkeepError | None


class Day(NamedTuple):
    """How many records expire on a day (UTC)."""

    date: date
    expire: int


@dataclass(frozen=True)
class Stats:
    """Statistics of the service.

    Attributes:
        as_of: Unix time of the count in whole seconds.
        live: the number of live records.
        forecast: the next 90 days, today first.
        later: records that expire after those.
        cache: the cache's `url` (only the scheme), `hits`, `misses`, `entries` and `bytes`.
        reclaimed: expired records that the sweep deleted.
        requests: counts and durations of requests.
        text: the JSON as received.
    """

    as_of: int
    live: int
    forecast: Sequence[Day]
    later: int
    cache: Mapping[str, Any]
    reclaimed: int
    requests: Mapping[str, Any]
    text: str
