"""Rounds: operations that arrive together travel together, to a server and back.

A round trip costs the event loop about as much for a hundred operations as for one. So whatever
arrives in one turn of the loop and the next, or while as many rounds are on their way as may be,
makes up the next round. No operation waits for others to come: one that arrives alone leaves when
that turn is over.

This is `guidkeep.batching.groups` for servers that are asked over asyncio, not by a thread.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from guidkeep.batching import turns
from guidkeep.batching.outcome import Outcome
from guidkeep.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from guidkeep.metrics import Metrics

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
            raises itself is raised for each. It is told when it is to be given up, in the loop's
            time, and has to see to that itself.
        limit: items in a round at most.
        at_once: rounds on their way at most.
        timeout: seconds after which an operation is given up. One that was not begun in half of
            them is refused, so that there is as long to do it.
        observe: called after each round with its size and the seconds that it took.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item], float], Awaitable[Sequence[Result | BaseException]]],
        *,
        limit: int,
        at_once: int,
        timeout: float,
        observe: Callable[[int, float], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._run = run
        self._limit = limit
        self._at_once = at_once
        self._timeout = timeout
        self._observe = observe
        self._waiting: list[_Waiting] = []
        self._under_way: set[asyncio.Task[None]] = set()

    def submit(self, item: Item) -> Outcome[Result]:
        """Hands an operation in; the outcome is certain when its round is back."""
        outcome: Outcome[Result] = Outcome(loop=self._loop)
        if not self._waiting and len(self._under_way) < self._at_once:
            turns.after_next(self._loop, self._start)
        self._waiting.append(_Waiting(item, outcome, self._loop.time()))
        return outcome

    async def close(self) -> None:
        """Waits for what was handed in."""
        while self._waiting or self._under_way:
            await asyncio.sleep(0)
            if self._under_way:
                await asyncio.wait(self._under_way)

    def _start(self) -> None:
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
            until = round_[0].since + self._timeout
            results = await self._run([waiting.item for waiting in round_], until)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is theirs who wait
            results = [error] * len(round_)
        self._observe(len(round_), perf_counter() - began)
        turns.settle(self._loop, [waiting.outcome for waiting in round_], results)

    def _refuse_the_late(self) -> None:
        patience = self._timeout / 2
        before = self._loop.time() - patience
        message = f"The store could not begin within {patience:g} s; nothing was written."
        late = 0
        while late < len(self._waiting) and self._waiting[late].since < before:
            self._waiting[late].outcome.settle(StoreUnavailable(message))
            late += 1
        del self._waiting[:late]


class AllRounds:
    """The rounds of a store, of every kind.

    Args:
        timeout: seconds after which an operation is given up.
        metrics: what is counted goes there.
    """

    def __init__(self, *, timeout: float, metrics: Metrics) -> None:
        self._timeout = timeout
        self._metrics = metrics
        self._all: list[Rounds[Any, Any]] = []

    def of(
        self,
        kind: str,
        run: Callable[[Sequence[Item], float], Awaitable[Sequence[Result | BaseException]]],
        *,
        limit: int = 1,
        at_once: int = 1,
    ) -> Rounds[Item, Result]:
        """New ones, counted as of that kind; see `Rounds`."""
        observe = self._metrics.observe_group(kind)
        rounds = Rounds[Item, Result](
            run, limit=limit, at_once=at_once, timeout=self._timeout, observe=observe
        )
        self._all.append(rounds)
        return rounds

    async def close(self) -> None:
        """Waits for what was handed in."""
        for rounds in self._all:
            await rounds.close()
