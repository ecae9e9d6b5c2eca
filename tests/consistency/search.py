"""Decides whether a history is linearizable: Wing and Gong's search, memoised, event by event.

Wing & Gong, "Testing and verifying concurrent objects" (JPDC 1993): look for an order of the
operations that the sequential specification allows, and in which each takes effect between its
invocation and its return. Lowe, "Testing for linearizability" (CCPE 2017): remember the pairs of
state and operations done, so that none is tried twice; and do an operation no earlier than the
response that needs it ("just in time"). So the search goes through the events in order of time,
and keeps all *configurations* that explain the responses so far:

    the record's state; which of the operations under way are done already;
    which of the operations in doubt have happened.

Three rules keep their number small. An operation that changes nothing and fits is done at once:
later it would fit no better. Of two configurations that differ in the operations in doubt that they
have used, the one that used fewer can do everything that the other can. And operations in doubt are
tried sparingly: at first one between two responses, and more only if that finds no order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from tests.consistency.promises import strictly
from tests.consistency.specification import Specification, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.consistency.operations import Operation

DEFAULT_BOUND = 400_000
"""Steps of the search after which it gives up, undecided."""
SPARING = (1, 2, inf)
"""Operations in doubt that may happen between two responses: at first, then, and at last."""


class Undecided(Exception):
    """The search was given up, without a result."""


class Configuration(NamedTuple):
    """One explanation of the responses so far."""

    state: State
    done: frozenset[int] = frozenset()
    spent: frozenset[int] = frozenset()


START = (Configuration(None),)


@dataclass
class Failure:
    """No order explains a response.

    Attributes:
        operation: the operation with that response.
        before: every configuration that explains the responses before it.
        snapshots: the configurations after each of the last responses, oldest first.
        history: the operations on that GUID.
        specification: the specification that judges them.
    """

    operation: Operation
    before: Sequence[Configuration]
    snapshots: Sequence[tuple[float, Sequence[Configuration]]]
    history: Sequence[Operation] = field(repr=False)
    specification: Specification = field(repr=False)


def check(
    history: Iterable[Operation],
    *,
    begins: Callable[[Operation], float] = strictly,
    bound: int = DEFAULT_BOUND,
) -> Failure | None:
    """Looks for a linearization of the operations on one GUID.

    Args:
        history: the operations, in any order.
        begins: the earliest instant at which an operation may have taken effect; see `promises`.
        bound: maximum steps of the search.

    Returns:
        None if there is one, else the response that no order explains.

    Raises:
        Contradiction: see `Specification`.
        Undecided: the search reached its bound.
    """
    operations = [operation for operation in history if operation.tells]
    specification = Specification(operations)
    failure = None
    for most in SPARING:
        search = Search(specification, begins=begins, most_open=most, bound=bound)
        failure = search.run(operations)
        if failure is None or search.open_at_most <= most:
            break
    return failure


class Search:
    """A search; see the module's text.

    Args:
        specification: the specification of the record.
        begins: the earliest instant at which an operation may have taken effect.
        most_open: maximum operations in doubt between two responses.
        bound: maximum steps.
        keep: number of snapshots kept for an explanation.
    """

    def __init__(
        self,
        specification: Specification,
        *,
        begins: Callable[[Operation], float],
        most_open: float,
        bound: int,
        keep: int = 400,
    ) -> None:
        self.open_at_most = 0
        self._specification = specification
        self._begins = begins
        self._most_open = most_open
        self._left = bound
        self._keep = keep
        self._pending: dict[int, Operation] = {}
        self._lookers: dict[int, Operation] = {}
        self._open: dict[int, Operation] = {}

    def run(
        self, operations: Sequence[Operation], start: Iterable[Configuration] = START
    ) -> Failure | None:
        """Goes through the events; returns None if all responses could be explained."""
        configurations = list(start)
        snapshots: list[tuple[float, Sequence[Configuration]]] = []
        for at, is_return, operation in _events(operations, self._begins):
            if not is_return:
                configurations = self._invoke(operation, configurations)
                continue
            left = self._return(operation, configurations)
            if not left:
                return Failure(
                    operation, configurations, snapshots, operations, self._specification
                )
            configurations = left
            snapshots.append((at, left))
            del snapshots[: -self._keep]
        return None

    def _invoke(
        self, operation: Operation, configurations: Sequence[Configuration]
    ) -> list[Configuration]:
        if operation.is_open:
            self._open[operation.number] = operation
            self.open_at_most = len(self._open)
            return list(configurations)
        self._pending[operation.number] = operation
        if operation.has_written:
            return list(configurations)
        self._lookers[operation.number] = operation
        return [
            found._replace(done=found.done | {operation.number})
            if self._fits(operation, found.state)
            else found
            for found in configurations
        ]

    def _return(
        self, operation: Operation, configurations: Sequence[Configuration]
    ) -> list[Configuration]:
        """The configurations in which the operation is done, and removed."""
        found: set[Configuration] = set()
        for configuration in configurations:
            if operation.number in configuration.done:
                found.add(configuration)
            else:
                found |= self._until_done(operation, configuration)
        del self._pending[operation.number]
        self._lookers.pop(operation.number, None)
        this = frozenset((operation.number,))
        return self._best({found_._replace(done=found_.done - this) for found_ in found})

    def _until_done(self, target: Operation, start: Configuration) -> set[Configuration]:
        """Does other operations that are under way or in doubt, while this one needs it."""
        found: set[Configuration] = set()
        known = {start}
        stack = [start]
        while stack:
            self._left -= 1
            if self._left < 0:
                raise Undecided(f"no linearization found yet, at #{target.number}")
            for following in self._steps(stack.pop(), start):
                if following in known:
                    continue
                known.add(following)
                if target.number in following.done:
                    found.add(following)
                else:
                    stack.append(following)
        return found

    def _steps(self, now: Configuration, start: Configuration) -> Iterator[Configuration]:
        may_bind = now.state is not None and (now.state.etag is None or self._open)
        for number, operation in self._pending.items():
            if number in now.done or not (may_bind or operation.has_written):
                continue
            for state in self._specification.after(operation, now.state):
                yield self._absorb(Configuration(state, now.done | {number}, now.spent))
        if len(now.spent) - len(start.spent) >= self._most_open:
            return
        for number, operation in self._open.items():
            if number in now.spent:
                continue
            for state in self._specification.after(operation, now.state):
                if state != now.state:
                    yield self._absorb(Configuration(state, now.done, now.spent | {number}))

    def _absorb(self, configuration: Configuration) -> Configuration:
        """Does the operations under way that fit and change nothing."""
        state, done, _ = configuration
        fitting = [
            number
            for number, operation in self._lookers.items()
            if number not in done and self._fits(operation, state)
        ]
        return configuration._replace(done=done.union(fitting)) if fitting else configuration

    def _fits(self, operation: Operation, state: State) -> bool:
        """Whether its response fits, and it changes nothing, not even the knowledge of ETags."""
        return state in self._specification.after(operation, state)

    def _best(self, found: set[Configuration]) -> list[Configuration]:
        """The configurations that no other makes superfluous."""
        if len(found) == 1:
            return list(found)
        return [
            this
            for this in found
            if not any(other is not this and self._covers(other, this) for other in found)
        ]

    def _covers(self, one: Configuration, other: Configuration) -> bool:
        """Whether every continuation of `other` is one of `one`. The two differ."""
        if one.state != other.state or not one.spent <= other.spent or not one.done >= other.done:
            return False
        return not any(self._pending[number].has_written for number in one.done - other.done)


def _events(
    operations: Iterable[Operation], begins: Callable[[Operation], float]
) -> Iterator[tuple[float, bool, Operation]]:
    """Invocations and returns in order of time; at one instant, invocations first."""
    events = []
    for operation in operations:
        events.append((begins(operation), False, operation.number, operation))
        if not operation.is_open:
            events.append((operation.returned, True, operation.number, operation))
    for at, is_return, _, operation in sorted(events, key=lambda event: event[:3]):
        yield at, is_return, operation
