"""Rounds: operations that arrive together travel together, to a server and back.

A round trip costs the event loop about as much for a hundred operations as for one. So whatever
arrives in one turn of the loop, or while as many rounds are on their way as may be, makes up the
next round. No operation waits for others to come: one that arrives alone leaves at once.

This is `guidkeep.stores.groups` for servers that are asked over asyncio, not by a thread.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from guidkeep.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiting(NamedTuple):
    item: Any
    outcome: Outcome[Any]
    since: float


class Rounds(Generic[Item, Result]):
    """Runs operations in rounds, in the order in which they came.

    Args:
        run: runs a round; returns for each item its result, or the exception to raise. What it
            raises itself is raised for each. It has to end by itself: it has a deadline.
        limit: items in a round at most.
        at_once: rounds on their way at most.
        patience: seconds that an operation waits to be begun.
        too_late: makes the error for one that was not begun in that time: nothing was done.
        observe: called after each round with its size and the seconds that it took.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Result | BaseException]]],
        *,
        limit: int,
        at_once: int,
        patience: float,
        too_late: Callable[[], Exception],
        observe: Callable[[int, float], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._run = run
        self._limit = limit
        self._at_once = at_once
        self._patience = patience
        self._too_late = too_late
        self._observe = observe
        self._waiting: list[_Waiting] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._start_is_due = False

    def submit(self, item: Item) -> Outcome[Result]:
        """Hands an operation in; the outcome is certain when its round is back."""
        outcome: Outcome[Result] = Outcome(loop=self._loop)
        self._waiting.append(_Waiting(item, outcome, self._loop.time()))
        if not self._start_is_due and len(self._under_way) < self._at_once:
            # Not at once: whatever else this turn of the loop brings joins the round.
            self._start_is_due = True
            self._loop.call_soon(self._start)
        return outcome

    async def close(self) -> None:
        """Waits for what was handed in."""
        while self._waiting or self._under_way:
            await asyncio.sleep(0)
            if self._under_way:
                await asyncio.wait(self._under_way)

    def _start(self) -> None:
        self._start_is_due = False
        while self._waiting and len(self._under_way) < self._at_once:
            round_ = self._waiting[: self._limit]
            del self._waiting[: self._limit]
            task = self._loop.create_task(self._travel(round_))
            self._under_way.add(task)
            task.add_done_callback(self._back)

    def _back(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._refuse_the_late()
        self._start()

    async def _travel(self, round_: Sequence[_Waiting]) -> None:
        began = perf_counter()
        results: Sequence[Result | BaseException]
        try:
            results = await self._run([waiting.item for waiting in round_])
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is theirs who wait
            results = [error] * len(round_)
        self._observe(len(round_), perf_counter() - began)
        for waiting, result in zip(round_, results, strict=True):
            waiting.outcome.settle(result)

    def _refuse_the_late(self) -> None:
        before = self._loop.time() - self._patience
        late = 0
        while late < len(self._waiting) and self._waiting[late].since < before:
            self._waiting[late].outcome.settle(self._too_late())
            late += 1
        del self._waiting[:late]
