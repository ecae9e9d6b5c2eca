"""An event loop that is run until nothing is left to do, and where operations stop at gates.

The loop has no sockets, no threads and no time: the same calls always lead to the same turns of
it. `run_until_quiet` returns when every task is done or waits for something that only the test
can bring, so "now everybody has come as far as they can" is known, not waited for.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import defaultdict, deque
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

Result = TypeVar("Result")

acting: ContextVar[int] = ContextVar("acting")
"""The number of the operation for which a task works; its tasks hand it down to their own."""


class StepLoop(asyncio.BaseEventLoop):
    """See the module's text. What goes wrong in callbacks is kept in `complaints`."""

    def __init__(self) -> None:
        super().__init__()
        self.complaints: list[dict[str, Any]] = []
        self._turns: deque[asyncio.Handle] = deque()

    def call_soon(  # type: ignore[override]  # without the type variables
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._turns.append(handle)
        return handle

    def run_in_executor(  # type: ignore[override]  # without the type variables
        self, executor: object, func: Callable[..., Result], *args: Any
    ) -> asyncio.Future[Result]:
        """Runs it here and now: whoever waits for a thread finds it done."""
        future: asyncio.Future[Result] = self.create_future()
        future.set_result(func(*args))
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(context)

    def run_until_quiet(self) -> None:
        """Runs until nobody can go on any more."""
        events._set_running_loop(self)
        try:
            while self._turns:
                handle = self._turns.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            events._set_running_loop(None)

    def run(self, work: Coroutine[Any, Any, Result], context: Context | None = None) -> Result:
        """Runs it to its end, which nothing outside the loop may hold up."""
        task = self.create_task(work, context=context)
        self.run_until_quiet()
        return task.result()


@dataclass(frozen=True, slots=True)
class Parked:
    """A call that waits for the test to let it go on.

    Attributes:
        operation: for which it is made.
        at: before or after which call it waits.
        task: the task that made it.
        go: lets it go on; takes "goes on", or how the call is to fail.
    """

    operation: int
    at: str
    task: asyncio.Task[Any] | None
    go: Callable[[str], None]


class Gates:
    """Where operations stop until the test lets them go on.

    Args:
        loop: on which they run.
        after: whether they stop after each call too, not only before it.
    """

    def __init__(self, loop: StepLoop, *, after: bool) -> None:
        self.parked: list[Parked] = []
        self.after = after
        self.open = False
        self.loop = loop
        self.learnt: dict[int, list[object]] = defaultdict(list)
        """What each operation has learnt so far: its calls and their results."""

    def park(self, at: str, go: Callable[[str], None]) -> Parked:
        """Calls `go` with what the test says, when it says it."""
        parked = Parked(acting.get(), at, asyncio.current_task(self.loop), go)
        self.parked.append(parked)
        return parked

    def release(self, parked: Parked, said: str = "goes on") -> None:
        """The test says it."""
        self.parked.remove(parked)
        parked.go(said)

    async def stop(self, at: str) -> None:
        """Waits at a gate."""
        if self.open:
            return
        gate = self.loop.create_future()
        parked = self.park(at, gate.set_result)
        try:
            await gate
        except asyncio.CancelledError:
            self.parked.remove(parked)
            raise

    def let_all_go(self) -> None:
        """Opens all gates for good, and runs until everybody is done."""
        self.open = True
        while self.parked:
            self.release(self.parked[0])
            self.loop.run_until_quiet()
