"""The batcher: what arrives together, or while earlier batches are on their way, leaves together.

A round trip to a server, or a flush of the disk, costs about as much for a hundred operations as
for one. A batch pays it once. No operation waits for others to come: one that arrives alone leaves
as soon as one more event-loop iteration is over. While as many batches are on their way as may be,
operations gather for the next batch. So one client alone is served at once, and batches grow with
the load.

*When a batch leaves.* One iteration later than it could. Requests that come in together are parsed
in one iteration, and each hands its operation in during the next. A batch that left one iteration
earlier would miss the requests that are being parsed in that iteration.

*When outcomes are resolved.* A batch leaves before the outcomes of the one before it are resolved,
so that the database works while responses are made. Making one response takes some 40 µs. So at
most `PER_ITERATION` outcomes are resolved in one iteration, or hundreds of them would hold up every
other request.

*Failures.* A runner returns a result or an exception for each operation. An exception for one
operation fails that one alone. If the runner itself fails, its exception fails
the whole batch.
"""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from guidkeep.batching.outcome import Outcome
from guidkeep.batching.runners import AsyncioRunner, ThreadRunner
from guidkeep.errors import StoreUnavailable, unconfirmed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)
Result = TypeVar("Result")

PER_ITERATION = 64
"""Outcomes that are resolved in one event-loop iteration."""


def after_next_iteration(loop: asyncio.AbstractEventLoop, leave: Callable[[], object]) -> None:
    """Calls `leave` at the end of the event loop's next iteration, not of this one."""
    loop.call_soon(loop.call_soon, leave)


class Runner(Protocol[Item_contra, Result]):
    """Runs batches.

    Attributes:
        at_once: the number of batches that it runs at the same time.
        patience: seconds after which an operation that no batch has taken is refused.
    """

    at_once: int
    patience: float

    def run(
        self, items: Sequence[Item_contra], since: float, late: Callable[[StoreUnavailable], None]
    ) -> asyncio.Future[Sequence[Result | BaseException]]:
        """Begins to run a batch.

        Args:
            items: the operations of the batch, in the order in which they arrived.
            since: the event loop's time at which the first of them arrived.
            late: to be called when the batch goes on beyond its time, with the error for its
                operations.

        Returns:
            A future of the operations' results, in the order of the items. An exception in place
            of a result is raised for that operation.
        """
        ...

    def close(self) -> None:
        """Frees what the runner holds. No batch is on its way then."""
        ...


class Batcher(Generic[Item, Result]):
    """Runs operations in batches, in the order in which they arrived.

    Args:
        runner: runs the batches.
        limit: the largest number of operations in a batch.
        observe: called after each batch with its size and the seconds that it took.
    """

    def __init__(
        self, runner: Runner[Item, Result], *, limit: int, observe: Callable[[int, float], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._runner = runner
        self._limit = limit
        self._observe = observe
        # What waits, side by side: the operations, their outcomes, and when they were handed in.
        self._items: list[Item] = []
        self._outcomes: list[Outcome[Result]] = []
        self._since: list[float] = []
        self._running: set[asyncio.Future[Sequence[Result | BaseException]]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, item: Item) -> Outcome[Result]:
        """Hands an operation in.

        Returns:
            The operation's outcome. Awaiting it raises the exception that the runner returned for
            the operation, or `StoreUnavailable` if no batch took the operation in time.
        """
        outcome: Outcome[Result] = Outcome(loop=self._loop)
        if not self._items and len(self._running) < self._runner.at_once:
            self._idle.clear()
            after_next_iteration(self._loop, self._leave)
        self._items.append(item)
        self._outcomes.append(outcome)
        self._since.append(self._loop.time())
        return outcome

    async def close(self) -> None:
        """Waits until every operation that was handed in is done, and closes the runner."""
        await self._idle.wait()
        self._runner.close()

    def _leave(self) -> None:
        while self._items and len(self._running) < self._runner.at_once:
            items, outcomes, since = self._take(self._limit)
            began = perf_counter()
            try:
                done = self._runner.run(items, since, partial(self._late, outcomes))
            except Exception as error:  # noqa: BLE001 - the thread may have it, and run it later
                done = self._loop.create_future()
                done.set_exception(_in_doubt(error))
            self._running.add(done)
            done.add_done_callback(partial(self._back, outcomes, began))

    def _take(self, count: int) -> tuple[list[Item], list[Outcome[Result]], float]:
        """Takes operations from those that wait, with the time at which the first came."""
        now = slice(count)
        taken = self._items[now], self._outcomes[now], self._since[0]
        del self._items[now], self._outcomes[now], self._since[now]
        return taken

    def _back(
        self,
        outcomes: Sequence[Outcome[Result]],
        began: float,
        done: asyncio.Future[Sequence[Result | BaseException]],
    ) -> None:
        self._running.remove(done)
        self._observe(len(outcomes), perf_counter() - began)
        self._refuse_those_that_waited()
        self._leave()
        if not self._running:
            self._idle.set()
        self._resolve(outcomes, _results(done, len(outcomes)))

    def _resolve(
        self, outcomes: Sequence[Outcome[Result]], results: Sequence[Result | BaseException]
    ) -> None:
        """Resolves some outcomes now, and the rest in the event-loop iterations that follow.

        The loop itself does it, not a task: a task can be cancelled, and nobody would resolve the
        rest.
        """
        now = slice(PER_ITERATION)
        for outcome, result in zip(outcomes[now], results[now], strict=True):
            if not outcome.done():
                outcome.resolve(result)
        if len(outcomes) > PER_ITERATION:
            self._loop.call_soon(self._resolve, outcomes[PER_ITERATION:], results[PER_ITERATION:])

    def _late(self, outcomes: Sequence[Outcome[Result]], error: StoreUnavailable) -> None:
        """Gives up a batch that goes on beyond its time, and refuses what waits behind it."""
        for outcome in outcomes:
            if not outcome.done():
                outcome.resolve(error)
        if self._runner.at_once > 1:  # other batches may still come back and take what waits
            self._refuse_those_that_waited()
        elif self._items:
            self._refuse(len(self._items), "The store is busy; nothing was done.")

    def _refuse_those_that_waited(self) -> None:
        patience = self._runner.patience
        before = self._loop.time() - patience
        count = 0
        while count < len(self._since) and self._since[count] < before:
            count += 1
        if count:
            message = f"The store could not begin within {patience:g} s; nothing was done."
            self._refuse(count, message)

    def _refuse(self, count: int, message: str) -> None:
        _, outcomes, _ = self._take(count)
        for outcome in outcomes:
            outcome.resolve(StoreUnavailable(message))


class Batchers:
    """The batchers of one store, one for each of its operations.

    Args:
        timeout: seconds after which an operation is given up; see the runners.
        observe: makes the function that a batcher calls after each batch, from the batcher's kind.
    """

    def __init__(
        self, *, timeout: float, observe: Callable[[str], Callable[[int, float], None]]
    ) -> None:
        self._timeout = timeout
        self._observe = observe
        self._all: list[Batcher[Any, Any]] = []

    def of(
        self,
        kind: str,
        run: Callable[[Sequence[Item], float], Awaitable[Sequence[Result | BaseException]]],
        *,
        limit: int = 1,
        at_once: int = 1,
        give_up: Callable[[], StoreUnavailable],
    ) -> Batcher[Item, Result]:
        """Makes a batcher that counts its batches under that kind; see `AsyncioRunner`."""
        runner = AsyncioRunner(run, at_once=at_once, timeout=self._timeout, give_up=give_up)
        return self._add(kind, runner, limit)

    def on_thread(
        self,
        kind: str,
        run: Callable[[Sequence[Item]], Sequence[Result | BaseException]],
        *,
        name: str,
        limit: int = 1,
        give_up: Callable[[asyncio.Future[Any]], StoreUnavailable],
    ) -> Batcher[Item, Result]:
        """Makes a batcher that counts its batches under that kind; see `ThreadRunner`."""
        runner = ThreadRunner(name, run, timeout=self._timeout, give_up=give_up)
        return self._add(kind, runner, limit)

    async def close(self) -> None:
        """Closes each batcher; see `Batcher.close`."""
        for batcher in self._all:
            await batcher.close()

    def _add(self, kind: str, runner: Runner[Item, Result], limit: int) -> Batcher[Item, Result]:
        batcher = Batcher(runner, limit=limit, observe=self._observe(kind))
        self._all.append(batcher)
        return batcher


def _results(
    done: asyncio.Future[Sequence[Result | BaseException]], count: int
) -> Sequence[Result | BaseException]:
    if done.cancelled():
        return [asyncio.CancelledError()] * count
    if (failure := done.exception()) is not None:
        return [failure] * count
    results = done.result()
    if len(results) != count:
        return [RuntimeError(f"{len(results)} results for {count} operations")] * count
    return results


def _in_doubt(error: Exception) -> StoreUnavailable:
    doubt = unconfirmed()
    doubt.__cause__ = error
    return doubt
