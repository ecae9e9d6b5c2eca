"""Groups: what arrives while one group of operations runs makes up the next.

A durable write costs a flush of the disk, and handing one operation to a thread and back costs
more than the operation. A group pays both once. No operation waits for others to come: the
thread takes whatever is there as soon as it is free, or, if it was idle, when the event loop's next
turn is over (so one client alone is served at once, and the busier it gets the larger the groups).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from guidkeep.batching import turns
from guidkeep.batching.outcome import Outcome
from guidkeep.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")


class Groups(Generic[Item, Result]):
    """One thread that runs operations in groups, in the order in which they came.

    Args:
        name: the thread's name.
        run: runs a group; returns for each item its result, or the exception to raise.
        limit: items in a group at most.
        timeout: seconds after which a group is given up by those who wait for it.
        give_up: called when a group is late; makes the error for those who wait for it from
            the future that is done when the group is.
        observe: called after each group with its size and the seconds that it took.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        *,
        limit: int,
        timeout: float,
        give_up: Callable[[asyncio.Future[Any]], StoreUnavailable],
        observe: Callable[[int, float], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._run = run
        self._limit = limit
        self._timeout = timeout
        self._give_up = give_up
        self._observe = observe
        self._waiting: list[tuple[Item, Outcome[Result]]] = []
        self._running: list[Outcome[Result]] = []
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, item: Item) -> Outcome[Result]:
        """Hands an operation in; the outcome is certain when its group is done."""
        future: Outcome[Result] = Outcome(loop=self._loop)
        self._waiting.append((item, future))
        if self._idle.is_set():
            self._idle.clear()
            turns.after_next(self._loop, self._start)
        return future

    async def close(self) -> None:
        """Waits for what was handed in, and ends the thread."""
        await self._idle.wait()
        self._thread.shutdown()

    def _start(self) -> None:
        group = self._waiting[: self._limit]
        del self._waiting[: self._limit]
        self._running = [future for _, future in group]
        began = perf_counter()
        done = self._loop.run_in_executor(self._thread, self._run, [item for item, _ in group])
        watch = self._loop.call_later(self._timeout, self._late, done)
        done.add_done_callback(lambda done: self._done(done, watch, began))

    def _go_on(self) -> None:
        if self._waiting:
            self._start()
        else:
            self._idle.set()

    def _done(
        self,
        done: asyncio.Future[Sequence[Result | Exception]],
        watch: asyncio.TimerHandle,
        began: float,
    ) -> None:
        watch.cancel()
        futures, self._running = self._running, []
        self._observe(len(futures), perf_counter() - began)
        self._go_on()  # first, so that the thread works while the answers are made
        failure = done.exception()
        results = done.result() if failure is None else [failure] * len(futures)
        turns.settle(self._loop, futures, results)

    def _late(self, done: asyncio.Future[Any]) -> None:
        """Answers those who wait, for as long as the group does not come back."""
        for future in self._running:
            if not future.done():
                future.set_exception(self._give_up(done))
        for _, future in self._waiting:
            future.set_exception(StoreUnavailable("The store is busy; nothing was done."))
        self._waiting.clear()
        again = self._loop.call_later(self._timeout, self._late, done)
        done.add_done_callback(lambda _: again.cancel())
