"""An event loop that runs until nothing is left to do, with gates at which operations stop.

The loop has no sockets, threads or time, so the same calls always lead to the same iterations.
`run_until_quiet` returns when every task is done or waits for the test. So a test knows, without
waiting, that all tasks have come as far as they can.
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
"""The number of the operation for which a task works. Tasks that it starts inherit the number."""


class StepLoop(asyncio.BaseEventLoop):
    """The event loop; see the module's text. Errors in callbacks are kept in `complaints`."""

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
        """Runs the work at once, in place of a thread."""
        future: asyncio.Future[Result] = self.create_future()
        future.set_result(func(*args))
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(context)

    def run_until_quiet(self) -> None:
        """Runs until no task can go on."""
        events._set_running_loop(self)
        try:
            while self._turns:
                handle = self._turns.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            events._set_running_loop(None)

    def run(self, work: Coroutine[Any, Any, Result], context: Context | None = None) -> Result:
        """Runs a coroutine to its end. It must not wait for anything outside the loop."""
        task = self.create_task(work, context=context)
        self.run_until_quiet()
        return task.result()


@dataclass(frozen=True, slots=True)
class Parked:
    """A call that waits for the test to release it.

    Attributes:
        operation: the number of the operation that makes the call.
        at: the gate: before or after the call, and its name.
        task: the task that made the call.
        go: releases the call; takes "goes on", or the way in which the call fails.
    """

    operation: int
    at: str
    task: asyncio.Task[Any] | None
    go: Callable[[str], None]


class Gates:
    """Gates at which operations stop until the test releases them.

    Args:
        loop: the event loop.
        after: whether operations stop after each call too, not only before it.
    """

    def __init__(self, loop: StepLoop, *, after: bool) -> None:
        self.parked: list[Parked] = []
        self.after = after
        self.open = False
        self.loop = loop
        self.learnt: dict[int, list[object]] = defaultdict(list)
        """Each operation's calls so far, and their results."""

    def park(self, at: str, go: Callable[[str], None]) -> Parked:
        """Calls `go` with the test's decision, once the test has decided."""
        parked = Parked(acting.get(), at, asyncio.current_task(self.loop), go)
        self.parked.append(parked)
        return parked

    def release(self, parked: Parked, said: str = "goes on") -> None:
        """Hands over the test's decision."""
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
        """Opens all gates for good, and runs until all tasks are done."""
        self.open = True
        while self.parked:
            self.release(self.parked[0])
            self.loop.run_until_quiet()
