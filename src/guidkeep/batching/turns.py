"""When operations that travel together leave, and how many come back in one turn of the event loop.

They leave one turn later than they could.

Requests that come in together are read in one turn of the loop, and in the next each hands its
operation in, by a task of its own. Answers that leave together bring the next requests together,
too. What left at the end of the turn in which the first of them is there would leave those behind
that are being read meanwhile, to a round of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from guidkeep.batching.outcome import Outcome

Result = TypeVar("Result")

SETTLED = 64
"""Operations whose answers are made in one turn of the loop. Each takes some 40 µs, and hundreds
come back together, for which all other requests would wait."""


def after_next(loop: asyncio.AbstractEventLoop, leave: Callable[[], object]) -> None:
    """Calls it at the end of the loop's next turn, not of this one."""
    loop.call_soon(loop.call_soon, leave)


def settle(
    loop: asyncio.AbstractEventLoop,
    outcomes: Sequence[Outcome[Result]],
    results: Sequence[Result | BaseException],
) -> None:
    """Makes outcomes known: some of them now, and the rest in the turns that follow.

    By the loop itself, not by a task: a task can be cancelled, and those left would wait for ever.
    """
    now = slice(SETTLED)
    for outcome, result in zip(outcomes[now], results[now], strict=True):
        if not outcome.done():
            outcome.settle(result)
    if len(outcomes) > SETTLED:
        loop.call_soon(settle, loop, outcomes[SETTLED:], results[SETTLED:])
