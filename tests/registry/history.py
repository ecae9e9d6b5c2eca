"""The judge: it keeps the commits to one GUID in order, and knows the results that they allow.

A write must have changed the state before it exactly as it was asked to. A read may return the
state after any commit from the floor on. The floor is the newest commit whose write had its
response, or which was read, before the read began. With `acked_only` reads do not count, which is
the promise with flushes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from guidkeep.errors import NotFound, OutcomeUnknown, PreconditionFailed, StoreUnavailable
from guidkeep.record import Record
from guidkeep.registry.access import Written


class Broken(AssertionError):
    """A promise was broken."""


@dataclass
class Doing:
    """An operation and its progress.

    Attributes:
        kind: the kind of operation.
        number: its number; its writes add the member `u<number>`.
        now: the time at which it began.
        floor: the floor at that time.
        commits: the places of its writes in the history.
        outcome: its result.
    """

    kind: str
    number: int
    now: float = 0.0
    floor: int = 0
    commits: list[int] = field(default_factory=list)
    outcome: object = None

    @property
    def member(self) -> str:
        return f"u{self.number}"


def require(promise: bool, message: str) -> None:
    if not promise:
        raise Broken(message)


class History:
    """The history of one GUID; see the module's text."""

    def __init__(self, first: Record | None, *, acked_only: bool) -> None:
        self.states: list[Record | None] = [first]
        self.floor = 0
        self.is_over = False
        self._acked_only = acked_only

    def place(self, record: Record) -> int | None:
        """The commits after which the record was there."""
        return self.states.index(record) if record in self.states else None

    def live(self, place: int, now: float) -> Record | None:
        """The record that is live at `now` after that commit."""
        state = self.states[place]
        return state if state is not None and state.is_live(now) else None

    def show(self, result: object) -> object:
        """The result of a call as the operation sees it, without tokens and times."""
        if isinstance(result, Record):
            return (self.place(result), result.metadata)
        return type(result).__name__ if isinstance(result, tuple) else result

    # Reports from the store.

    def commit(self, doing: Doing, record: Record | None) -> None:
        """Records that the operation's write has just happened."""
        if self.is_over:
            return
        before, last = self.live(-1, doing.now), self.states[-1]
        if last is not None and record is not None:
            require(record.version > last.version, "a version is not greater than the one before")
            if (record.expire, record.metadata) == (last.expire, last.metadata):
                self.states.append(record)  # a fence: no operation's own write changes nothing
                return
        wanted = _wanted(doing, before, self.states[0])
        if record is None:
            require(wanted is None, f"{doing.kind} removed the record")
        else:
            require(json.loads(record.metadata) == wanted, f"{record} is not {wanted}")
            if before is not None and doing.kind != "put":
                require(record.expire == before.expire, "expire changed by itself")
        self.states.append(record)
        doing.commits.append(len(self.states) - 1)

    # Reports from the operations.

    def begin(self, doing: Doing, now: float) -> None:
        doing.now, doing.floor = now, self.floor

    def end(self, doing: Doing, outcome: object) -> None:
        """Records the operation's result: a record, a `Written`, or an error."""
        if self.is_over:
            return
        doing.outcome = outcome
        match outcome:
            case Written():
                self._end_of_write(doing, outcome)
            case Record() if doing.commits:
                self._end_of_write(doing, Written(outcome, created=False))
            case Record():
                self._end_of_read(doing, outcome)
            case NotFound():
                self._end_without_record(doing)
            case PreconditionFailed():
                self._end_of_refusal(doing)
            case None if doing.kind == "delete":
                require(len(doing.commits) == 1, "an answered deletion did not happen once")
                self.floor = max(self.floor, doing.commits[0])
            case OutcomeUnknown():
                require(len(doing.commits) <= 1, "it happened twice")
            case StoreUnavailable():
                require(not doing.commits, "it said that nothing was written")

    def _end_of_write(self, doing: Doing, written: Written) -> None:
        require(len(doing.commits) == 1, f"answered, and written {len(doing.commits)} times")
        [place] = doing.commits
        require(self.states[place] == written.record, "the answer is not what was written")
        created = self.live(place - 1, doing.now) is None
        require(written.created == created, f"created is {written.created}")
        self.floor = max(self.floor, place)

    def _end_of_read(self, doing: Doing, record: Record) -> None:
        require(doing.kind == "read", f"{doing.kind} answered without writing")
        require(record.is_live(doing.now), "an expired record was returned")
        place = self.place(record)
        require(place is not None, f"{record} never was")
        self._saw(doing, [place or 0])

    def _end_without_record(self, doing: Doing) -> None:
        require(not doing.commits, "not found, and written all the same")
        self._saw(doing, [at for at in self._since(doing) if self.live(at, doing.now) is None])

    def _end_of_refusal(self, doing: Doing) -> None:
        require(not doing.commits, "refused, and written all the same")
        states = [(at, self.live(at, doing.now)) for at in self._since(doing)]
        if doing.kind == "create-only":
            self._saw(doing, [at for at, state in states if state is not None])
        else:
            self._saw(doing, [at for at, state in states if state and state != self.states[0]])

    def _since(self, doing: Doing) -> range:
        return range(doing.floor, len(self.states))

    def _saw(self, doing: Doing, places: list[int]) -> None:
        """Checks that the result was the state at one of these places, and not too old."""
        require(bool(places), "no state since the operation began allows this answer")
        require(places[-1] >= doing.floor, f"saw commit {places[-1]}, must see {doing.floor}")
        if not self._acked_only:
            self.floor = max(self.floor, min(places))


def _wanted(doing: Doing, before: Record | None, first: Record | None) -> dict[str, Any] | None:
    """The record that the operation must make from the live one before it; None: no record."""
    old = json.loads(before.metadata) if before else {}
    mine = {doing.member: doing.number}
    match doing.kind:
        case "delete":
            require(before is not None, "deleted what was not there")
            return None
        case "sweep":
            require(before is None, "swept a live record")
            return None
        case "update":
            require(before is not None, "updated what was not there")
            return {**old, **mine}
        case "swap":
            require(before is not None and before == first, "swapped another version")
            return {**old, **mine}
        case "create-only":
            require(before is None, "created over a live record")
    if doing.kind == "put":
        old = {}
    return {**old, "user": "Ann", **mine}
