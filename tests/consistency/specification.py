"""The sequential specification of one record: the contract, with expiry.

A node's clock is between an operation's `earliest` and `latest`. A record that expires in between
may exist for the operation or not. If it expires later it exists; if it expired earlier it does
not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.consistency.operations import Members, Operation, Seen, merged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Stored(NamedTuple):
    """The record that was written last, expired or not; `etag` is None until a response has it."""

    members: Members
    expire: int
    etag: int | None


State = Stored | None
"""None: there never was one, or it was deleted."""


class Contradiction(Exception):
    """Responses that can't all be right in any order; `operations` are theirs."""

    def __init__(self, message: str, operations: Iterable[Operation]) -> None:
        super().__init__(message)
        self.operations = list(operations)


class Specification:
    """The sequential specification of one GUID's record.

    After a write in doubt, a fence may store the record again under a new version, so that the
    write can't land late. So an ETag may then change although the record does not.

    Args:
        history: the operations on it; read in advance to find each ETag's record.

    Raises:
        Contradiction: one ETag stands for two records.
    """

    def __init__(self, history: Iterable[Operation]) -> None:
        operations = list(history)
        self._tags = _tags(operations)
        self._first_open = min(
            (operation.invoked for operation in operations if operation.is_open),
            default=float("inf"),
        )

    def after(self, operation: Operation, state: State) -> Iterator[State]:
        """The states in which the operation may leave the record, given its response.

        No state: that response is impossible. The same state: the operation changed nothing.
        """
        if state is None or operation.latest >= state.expire:
            yield from self._absent(operation, state)
        if state is not None and operation.earliest < state.expire:
            yield from self._present(operation, state)

    def _absent(self, operation: Operation, state: State) -> Iterator[State]:
        """The next states without a live record; `state` may be an expired one."""
        creates = operation.kind in ("post", "put") and operation.if_match is None
        if operation.is_open:
            if creates:
                yield self._written((), operation)
        elif operation.status == 201:
            new = self._written((), operation)
            if creates and _answers(operation, new):
                yield new
        elif (operation.status == 404 and operation.kind not in ("post", "put")) or (
            operation.status == 412 and operation.kind in ("post", "put") and not creates
        ):
            yield state

    def _present(self, operation: Operation, state: Stored) -> Iterator[State]:
        if operation.kind == "read":
            yield from self._read(operation, state)
            return
        tag = operation.if_match
        if operation.status == 412:
            is_other = tag is not None and (state.etag != tag or self._may_move(operation))
            if operation.if_none_match == "*" or is_other:
                yield state
            return
        if operation.if_none_match == "*" or operation.status in (201, 404):
            return
        if tag is not None and not self._may_have(state, tag, operation):
            return
        if operation.kind == "delete":
            yield None
            return
        new = self._written(() if operation.kind == "put" else state.members, operation, state)
        if operation.is_open or (_answers(operation, new) and _is_later(new, state)):
            yield new

    def _read(self, operation: Operation, state: Stored) -> Iterator[State]:
        if operation.status == 304 and isinstance(operation.if_none_match, int):
            tag = operation.if_none_match
        elif operation.status == 200 and operation.seen:
            tag = operation.seen.etag
        else:
            return
        if self._may_have(state, tag, operation):
            yield state._replace(etag=tag)

    def _written(
        self, before: Members, operation: Operation, state: Stored | None = None
    ) -> Stored:
        expire = operation.expire
        if expire is None:
            assert state is not None, f"a creation without expire: {operation}"
            expire = state.expire
        etag = operation.seen.etag if operation.seen else None
        return Stored(merged(before, operation.changes), expire, etag)

    def _may_have(self, state: Stored, tag: int, operation: Operation) -> bool:
        """Whether the record can have that ETag for the operation."""
        if state.etag == tag:
            return True
        if self._tags.get(tag) != (state.members, state.expire):
            return False
        return state.etag is None or (self._may_move(operation) and tag > state.etag)

    def _may_move(self, operation: Operation) -> bool:
        """Whether an ETag alone may have changed before the operation ended."""
        return self._first_open < operation.returned


def _tags(history: Iterable[Operation]) -> Mapping[int, tuple[Members, int]]:
    """The record of each ETag."""
    first: dict[int, Operation] = {}
    tags: dict[int, tuple[Members, int]] = {}
    for operation in history:
        if (seen := operation.seen) is None:
            continue
        record = (seen.members, seen.expire)
        if tags.setdefault(seen.etag, record) != record:
            both = (first[seen.etag], operation)
            raise Contradiction(f"the ETag {seen.etag} stands for two records", both)
        first.setdefault(seen.etag, operation)
    return tags


def _answers(operation: Operation, new: Stored) -> bool:
    return new.etag is not None and operation.seen == Seen(new.members, new.expire, new.etag)


def _is_later(new: Stored, old: Stored) -> bool:
    return new.etag is None or old.etag is None or new.etag > old.etag
