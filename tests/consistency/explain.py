"""Explains a failing history to people: it finds the few operations that show the fault."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from tests.consistency.search import Configuration, Search, Undecided

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.consistency.operations import Operation
    from tests.consistency.search import Failure
    from tests.consistency.specification import State

BOUND = 20_000
"""Steps of the search for each part that is left out; a part that needs more is kept."""


def explain(failure: Failure, begins: Callable[[Operation], float]) -> str:
    """The shortest part of the history without an order, found by leaving operations out."""
    culprit = failure.operation
    since, start = _where_to_begin(failure)
    part = [
        operation
        for operation in failure.history
        if operation.invoked <= culprit.returned
        and (operation.is_open or operation.returned > since)
    ]
    part = _shortened(part, culprit, start, begins, failure)
    lines = [
        f"No order of what was done to {culprit.guid} explains this answer:",
        f"  {culprit}",
        f"Why: {_reason(culprit, failure.before)}",
        f"At {since:.4f} it was one of: {_states(start)}",
        "What was done since, as far as it matters (invoked, returned, what -> answer):",
        *(f"  {operation}" for operation in sorted(part, key=lambda one: one.invoked)),
        f"Before that answer it can only have been: {_states(failure.before)}",
    ]
    return "\n".join(lines)


def _where_to_begin(failure: Failure) -> tuple[float, Sequence[Configuration]]:
    """The last instant at which the record can have been as the response says."""
    culprit = failure.operation
    writer = next((one for one in failure.history if _made(one, culprit)), None)
    best: tuple[float, Sequence[Configuration]] = (-inf, [Configuration(None)])
    if writer is None and failure.snapshots:
        best = failure.snapshots[0]
    for at, configurations in failure.snapshots:
        is_before = writer is not None and at <= writer.invoked
        if is_before or any(_fits(failure, found) for found in configurations):
            best = (at, configurations)
    return best


def _made(writer: Operation, culprit: Operation) -> bool:
    return writer.has_written and writer is not culprit and writer.seen == culprit.seen is not None


def _fits(failure: Failure, found: Configuration) -> bool:
    return any(True for _ in failure.specification.after(failure.operation, found.state))


def _shortened(
    part: list[Operation],
    culprit: Operation,
    start: Sequence[Configuration],
    begins: Callable[[Operation], float],
    failure: Failure,
) -> list[Operation]:
    """Leaves out reads, in ever smaller parts, while the result stays the same."""

    def fails(operations: Sequence[Operation]) -> bool:
        numbers = {operation.number for operation in operations}
        kept = {
            found._replace(done=found.done & numbers, spent=found.spent & numbers)
            for found in start
        }
        search = Search(failure.specification, begins=begins, most_open=inf, bound=BOUND)
        try:
            return search.run(operations, kept) is not None
        except Undecided:
            return False

    if not fails(part):
        return part
    lookers = [one for one in part if one is not culprit and not (one.has_written or one.is_open)]
    size = len(lookers)
    while size:
        for at in range(0, len(lookers), size):
            lot = {one.number for one in lookers[at : at + size]}
            without = [one for one in part if one.number not in lot]
            if len(without) < len(part) and fails(without):
                part = without
        size //= 2
    return part


def _reason(culprit: Operation, before: Iterable[Configuration]) -> str:
    seen = culprit.seen
    if seen is not None and culprit.kind == "read" and seen.expire <= culprit.earliest:
        late = culprit.earliest - seen.expire
        return f"it had expired {late:.3f} s before the node was asked"
    states = {found.state for found in before}
    if culprit.status == 404 and None not in states:
        return "a record must have been there"
    if states == {None}:
        return "nothing can have been there"
    return "the record can't have been like that any more, or yet"


def _states(configurations: Iterable[Configuration]) -> str:
    states = {found.state for found in configurations}
    few = sorted(_state(state) for state in states)[:6]
    return "; ".join(few) + ("; ..." if len(states) > len(few) else "")


def _state(state: State) -> str:
    if state is None:
        return "absent"
    members = " ".join(f"{name}={value}" for name, value in state.members)
    return f"[{members}] expire={state.expire} etag={state.etag}"
