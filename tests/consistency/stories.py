"""Histories written by hand, and histories that a correct record generates."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from tests.consistency.operations import Operation, Seen, merged
from tests.consistency.specification import Stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.consistency.operations import Kind
    from tests.consistency.specification import State

GUID = "9094E4C980C74043A4B586B420E69DDF"
EPOCH = 1_000_000
"""Unix time at the beginning of a story."""
LATER = EPOCH + 3600


def record(etag: int, expire: int = LATER, **members: str) -> Seen:
    return Seen(tuple(sorted(members.items())), expire, etag)


class Story:
    """Operations on one GUID, one per line: times, kind and response."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def tell(
        self,
        when: tuple[float, float],
        kind: Kind,
        answer: Seen | int | None = None,
        *,
        status: int | None = None,
        skew: float = 0.0,
        **asked: Any,
    ) -> Operation:
        """Adds an operation.

        Args:
            when: seconds: invoked, returned.
            kind: the kind; members that an operation does not have are `changes`.
            answer: the record, or the status; None: no response.
            status: the status of a response with a record; by default 200.
            skew: the skew of the node's clock.
        """
        own = {name: asked.pop(name) for name in list(asked) if name in Operation.__slots__}
        own.setdefault("changes", asked)
        operation = Operation(
            len(self.operations), GUID, 0, 0, kind, invoked=when[0], returned=when[1], **own
        )
        operation.earliest = EPOCH + when[0] + skew
        if isinstance(answer, Seen):
            operation.status, operation.seen = status or 200, answer
        else:
            operation.status = answer
        if operation.status is not None:
            operation.latest = EPOCH + when[1] + skew
        if kind in ("post", "put"):
            operation.expire = operation.expire or (
                operation.seen.expire if operation.seen else LATER
            )
        self.operations.append(operation)
        return operation


class Book:
    """A correct record: each operation takes effect at one instant, one after another."""

    def __init__(self) -> None:
        self.state: State = None
        self._version = 0

    def do(self, operation: Operation, at: float) -> None:
        """Makes it take effect at that instant; returns the response."""
        now = EPOCH + at
        live = self.state if self.state is not None and now < self.state.expire else None
        if operation.kind == "read":
            self._answer(operation, live, 200)
        elif operation.kind == "delete":
            operation.status = 404 if live is None else 204
            self.state = None if live is not None else self.state
        elif live is None and operation.kind == "patch":
            operation.status = 404
        elif live is not None and operation.if_none_match == "*":
            operation.status = 412
        else:
            self._write(operation, live, operation.changes)

    def _write(
        self, operation: Operation, live: Stored | None, changes: Mapping[str, str | None]
    ) -> None:
        self._version += 1
        before = live.members if live is not None and operation.kind != "put" else ()
        expire = operation.expire or (live.expire if live else LATER)
        self.state = Stored(merged(before, changes), expire, self._version)
        self._answer(operation, self.state, 201 if live is None else 200)

    def _answer(self, operation: Operation, state: Stored | None, status: int) -> None:
        operation.status = 404 if state is None else status
        if state is not None:
            operation.seen = Seen(state.members, state.expire, state.etag or 0)


def by_the_book(seed: int, count: int, width: float) -> list[Operation]:
    """A linearizable history: operations that overlap, with an instant of effect in each.

    Args:
        seed: determines the history.
        count: the number of operations.
        width: maximum seconds of an operation; effects are a second apart on average.
    """
    chance = random.Random(seed)  # noqa: S311 - load, no secret
    book, at, history = Book(), 0.0, []
    for number in range(count):
        at += chance.random() * 2
        kind: Kind = chance.choice(("read", "read", "read", "post", "patch", "put", "delete"))
        operation = Operation(number, GUID, 0, 0, kind)
        if kind in ("post", "put"):
            operation.changes = {"user": str(number)}
            operation.expire = int(EPOCH + at + chance.choice((2, 4, 9, 999)))
            operation.if_none_match = "*" if chance.random() < 0.2 else None
        elif kind == "patch":
            operation.changes = {chance.choice("ab"): str(number)}
        operation.invoked = at - chance.random() * width
        operation.returned = at + chance.random() * width
        operation.earliest = EPOCH + operation.invoked
        operation.latest = EPOCH + operation.returned
        book.do(operation, at)
        if operation.kind != "read" and chance.random() < 0.1:
            operation.status = operation.seen = None
            operation.latest = float("inf")
        history.append(operation)
    return history
