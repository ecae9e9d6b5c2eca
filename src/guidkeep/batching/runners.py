"""What runs the batches of a `Batcher`: the event loop, or a thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from guidkeep.errors import StoreUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


GRACE_SECONDS = 1.0
"""The time after its deadline in which a batch must end. Then nobody waits for it any longer."""


class AsyncioRunner(Generic[Item, Result]):
    """Runs batches over asyncio, several at once.

    An operation has `timeout` seconds in all. One that has not begun after half of them is refused,
    so that every batch has at least the other half.

    Args:
        run: runs a batch, given its items and the event loop's time at which the batch has to end.
            It keeps to that time by itself; `give_up` is for one that does not. It returns a result
            for each item, or the exception to raise for it.
        at_once: the number of batches that run at the same time.
        timeout: seconds after which an operation is given up.
        give_up: called once for a batch that goes on beyond its time. It returns the error for the
            batch's operations.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item], float], Awaitable[Sequence[Result | BaseException]]],
        *,
        at_once: int,
        timeout: float,
        give_up: Callable[[], StoreUnavailable],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._run = run
        self._timeout = timeout
        self._give_up = give_up
        self.at_once = at_once
        self.patience = timeout / 2

    def run(
        self,
        items: Sequence[Item],
        since: float,
        late: Callable[[StoreUnavailable], None],
    ) -> asyncio.Future[Sequence[Result | BaseException]]:
        """Begins to run a batch; see `guidkeep.batching.batcher.Runner`."""
        deadline = since + self._timeout
        done = asyncio.ensure_future(self._run(items, deadline), loop=self._loop)
        self._watch(done, deadline + GRACE_SECONDS, lambda: self._late(done, late, self._give_up()))
        return done

    def _late(
        self,
        done: asyncio.Future[Any],
        late: Callable[[StoreUnavailable], None],
        error: StoreUnavailable,
    ) -> None:
        late(error)
        again = self._loop.time() + self._timeout
        self._watch(done, again, lambda: self._late(done, late, error))

    def _watch(self, done: asyncio.Future[Any], when: float, look: Callable[[], None]) -> None:
        timer = self._loop.call_at(when, look)
        done.add_done_callback(lambda _: timer.cancel())

    def close(self) -> None:
        """Does nothing: the runner holds nothing."""


class ThreadRunner(Generic[Item, Result]):
    """Runs batches on one thread, one at a time.

    A thread can't be stopped. A batch that takes longer than `timeout` seconds goes on, but nobody
    waits for it any longer, nor behind it.

    Args:
        name: the thread's name.
        run: runs a batch, on the thread. It returns a result for each item, or the exception to
            raise for it.
        timeout: seconds after which a batch is given up, and seconds that an operation waits for
            its batch.
        give_up: called once for a batch that is given up, with the future that is done when the
            batch ends. It returns the error for the batch's operations.
    """

    at_once = 1

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Item]], Sequence[Result | BaseException]],
        *,
        timeout: float,
        give_up: Callable[[asyncio.Future[Any]], StoreUnavailable],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._run = run
        self._timeout = timeout
        self._give_up = give_up
        self.patience = timeout

    def run(
        self,
        items: Sequence[Item],
        since: float,  # noqa: ARG002 - a batch's time begins with the batch
        late: Callable[[StoreUnavailable], None],
    ) -> asyncio.Future[Sequence[Result | BaseException]]:
        """Begins to run a batch; see `guidkeep.batching.batcher.Runner`."""
        done = self._loop.run_in_executor(self._thread, self._run, items)
        self._watch(done, lambda: self._late(done, late, self._give_up(done)))
        return done

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown()

    def _late(
        self,
        done: asyncio.Future[Any],
        late: Callable[[StoreUnavailable], None],
        error: StoreUnavailable,
    ) -> None:
        late(error)
        self._watch(done, lambda: self._late(done, late, error))

    def _watch(self, done: asyncio.Future[Any], look: Callable[[], None]) -> None:
        """Calls `look` after the timeout, unless the batch is done by then."""
        timer = self._loop.call_later(self._timeout, look)
        done.add_done_callback(lambda _: timer.cancel())
