"""The operations of clients: request, times and response."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Kind = Literal["read", "post", "patch", "put", "delete"]
Members = tuple[tuple[str, str], ...]
"""A record's metadata: its members in order of their names."""

METHODS: dict[Kind, str] = {
    "read": "GET",
    "post": "POST",
    "patch": "PATCH",
    "put": "PUT",
    "delete": "DELETE",
}
REFUSALS = (304, 404, 412)
"""Statuses that tell something about the record, and mean that nothing was written."""
OPEN_TYPES = ("outcome-unknown", "internal", "stopping")
"""Problem types that leave the outcome of a write in doubt."""


class Seen(NamedTuple):
    """A record in a response; `etag` without its quotes."""

    members: Members
    expire: int
    etag: int


@dataclass(slots=True)
class Operation:
    """One operation.

    Attributes:
        number: its number, in the order of the requests.
        guid: the GUID of the record.
        node: the number of the node, from 0.
        client: the number of the client, from 0.
        kind: the kind of operation.
        changes: the members that a write sets, or removes if the value is None.
        expire: the `expire` that a write sets; None: it sets none.
        if_match: the ETag that the record must have.
        if_none_match: the ETag that it must not have (a read); "*": it must not exist (a write).
        invoked: seconds since the run began, by a monotonic clock.
        returned: the same, when the response arrived or the client gave up.
        earliest: the node's clock when it was invoked: Unix time, with its skew.
        latest: the same, when it returned.
        status: the status of the response; None: no response.
        problem: the last part of an RFC 9457 problem's type.
        seen: the record in the response.
    """

    number: int
    guid: str
    node: int
    client: int
    kind: Kind
    changes: Mapping[str, str | None] = field(default_factory=dict)
    expire: int | None = None
    if_match: int | None = None
    if_none_match: int | Literal["*"] | None = None
    invoked: float = 0.0
    returned: float = inf
    earliest: float = 0.0
    latest: float = inf
    status: int | None = None
    problem: str = ""
    seen: Seen | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is a write in doubt."""
        no_word = self.status is None or self.status >= 500
        return (
            self.kind != "read" and no_word and (self.status is None or self.problem in OPEN_TYPES)
        )

    @property
    def has_written(self) -> bool:
        """Whether it is a write whose response says that it was done."""
        return self.kind != "read" and self.status in (200, 201, 204)

    @property
    def may_have_written(self) -> bool:
        """Whether it is a write that was not refused."""
        return self.has_written or self.is_open

    @property
    def tells(self) -> bool:
        """Whether it tells anything: a 503 that wrote nothing does not."""
        answered = self.status in (200, 201, 204, *REFUSALS)
        return answered or self.is_open

    def as_json(self) -> str:
        """A line of a history file."""
        return json.dumps(dataclasses.asdict(self), default=str)

    def __str__(self) -> str:
        """A line for people."""
        until = "     ..." if self.is_open or self.returned == inf else f"{self.returned:8.4f}"
        asked = [f"{name}={value}" for name, value in self.changes.items()]
        asked += [f"expire={self.expire}"] if self.expire is not None else []
        asked += [f"if-match={self.if_match}"] if self.if_match is not None else []
        asked += [f"if-none-match={self.if_none_match}"] if self.if_none_match is not None else []
        told = str(self.status or "no answer") + (f" ({self.problem})" if self.problem else "")
        told += f" {shown(self.seen)}" if self.seen else ""
        return (
            f"{self.invoked:8.4f} {until} #{self.number:<5} node {self.node} client "
            f"{self.client:<2} {METHODS[self.kind]:6} {' '.join(asked)} -> {told}"
        )


def shown(seen: Seen) -> str:
    """A record in one line."""
    members = " ".join(f"{name}={value}" for name, value in seen.members)
    return f"[{members}] expire={seen.expire} etag={seen.etag}"


def members_of(found: Mapping[str, Any]) -> Members:
    """The metadata of a record's JSON, in order."""
    rest = {name: value for name, value in found.items() if name not in ("guid", "expire")}
    return tuple(sorted(rest.items()))


def merged(before: Iterable[tuple[str, str]], changes: Mapping[str, str | None]) -> Members:
    """A merge patch (RFC 7396) of flat objects."""
    after: dict[str, str | None] = {**dict(before), **changes}
    return tuple(sorted((name, value) for name, value in after.items() if value is not None))


def by_guid(history: Iterable[Operation]) -> dict[str, list[Operation]]:
    """The history of each GUID: each is judged alone, because linearizability is local."""
    parts: dict[str, list[Operation]] = {}
    for operation in history:
        parts.setdefault(operation.guid, []).append(operation)
    return parts
