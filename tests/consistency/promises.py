"""What is promised, as a search can use it: from when on an operation may have taken effect.

A linearizable operation takes effect after its invocation. What `design.md` promises less of is
promised less of what only looks: reads, and refusals, which a stale record can cause too. To these
it allows an earlier instant, never a later one. A write that was done, or may be, compares and
sets, so it is held to the strict promise always.
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
    """Never older than an answered write; what runs during a write that was under way at a flush
    may go back behind what others saw of it.

    Args:
        history: the operations on one GUID.
        flushes: when the cache forgot everything: the instants before and after that.
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
    """What is no older than `age`, for a while; strict before and after that.

    Args:
        age: seconds.
        began: when a node was cut off from the cache, or the cache from all.
        ended: when it was there again.
        strict_nodes: nodes to which this does not apply.
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
    """Where more than one of them applies."""
    all_ = [strictly, *promises]
    return lambda operation: min(promise(operation) for promise in all_)


def _overlap(write: Operation, other: Operation) -> bool:
    return write.invoked <= other.returned and (write.is_open or other.invoked <= write.returned)
