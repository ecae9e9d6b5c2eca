"""The promises, in the form that a search uses: the earliest instant of an operation's effect.

A linearizable operation takes effect after its invocation. Weaker promises exist only for
operations that write nothing: reads, and refusals, which a stale record can cause too. They allow
an earlier instant for these, never a later one. A write that was done, or is in doubt, compares and
sets, so it is always held to the strict promise.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.consistency.operations import Operation

    Promise = Callable[[Operation], float]


def strictly(operation: Operation) -> float:
    """Linearizable: with the cache reachable."""
    return operation.invoked


class Acknowledged:
    """Never older than an acknowledged write. Operations during a write that ran at a flush may
    return the state before it, even after others saw the new one.

    Args:
        history: the operations on one GUID.
        flushes: the instants before and after each flush of the cache.
    """

    def __init__(
        self, history: Sequence[Operation], flushes: Sequence[tuple[float, float]]
    ) -> None:
        self._answered = sorted(write.returned for write in history if write.has_written)
        self._hit = [
            write
            for write in history
            if write.may_have_written
            and any(
                write.invoked <= after and (write.is_open or before <= write.returned)
                for before, after in flushes
            )
        ]

    def __call__(self, operation: Operation) -> float:
        if operation.may_have_written or not any(_overlap(write, operation) for write in self._hit):
            return operation.invoked
        count = bisect_left(self._answered, operation.invoked)
        return self._answered[count - 1] if count else -inf


@dataclass(frozen=True)
class Bounded:
    """Responses at most `age` old, for a while; strict before and after it.

    Args:
        age: seconds.
        began: when a node was cut off from the cache, or the cache from all nodes.
        ended: when the cache could be reached again.
        strict_nodes: nodes for which the strict promise holds even so.
    """

    age: float
    began: float
    ended: float
    strict_nodes: frozenset[int] = frozenset()

    def __call__(self, operation: Operation) -> float:
        if (
            operation.may_have_written
            or operation.node in self.strict_nodes
            or operation.returned < self.began
            or operation.invoked > self.ended + self.age
        ):
            return operation.invoked
        return operation.invoked - self.age


def loosest(promises: Iterable[Promise]) -> Promise:
    """Combines promises that apply at the same time."""
    all_ = [strictly, *promises]
    return lambda operation: min(promise(operation) for promise in all_)


def _overlap(write: Operation, other: Operation) -> bool:
    return write.invoked <= other.returned and (write.is_open or other.invoked <= write.returned)
