"""A batcher whose batches return when the test says so."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from guidkeep.batching.batcher import Batcher
from guidkeep.batching.runners import AsyncioRunner, ThreadRunner
from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from tests.support import iterations, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from guidkeep.batching.batcher import Runner

LONG = 60.0
SHORT = 0.02

Gate = Future["Exception | None"]
"""Holds up a batch until the test sets it: to None, or to an exception that the runner raises."""


class Doubler:
    """A batcher that doubles numbers. The test decides when each batch returns."""

    def __init__(
        self,
        make: Callable[[Doubler, float], Runner[int, int]],
        *,
        limit: int = 100,
        timeout: float = LONG,
    ) -> None:
        self.ran: list[list[int]] = []
        self.untils: list[float] = []
        self.threads: set[str] = set()
        self.observed: list[tuple[int, bool]] = []
        self.given_up: list[asyncio.Future[Any]] = []
        self.gates: list[Gate] = []
        self.is_closing = False
        self.runner = make(self, timeout)
        self.batcher: Batcher[int, int] = Batcher(
            self.runner,
            limit=limit,
            observe=lambda size, seconds: self.observed.append((size, seconds >= 0)),
        )

    def begin(self, items: Sequence[int]) -> Gate:
        gate: Gate = Future()
        self.threads.add(threading.current_thread().name)
        self.ran.append(list(items))
        if self.is_closing:
            gate.set_result(None)
        self.gates.append(gate)
        return gate

    async def run(self, items: Sequence[int], until: float) -> Sequence[int | BaseException]:
        self.untils.append(until)
        if error := await asyncio.wrap_future(self.begin(items)):
            raise error
        return doubled(items)

    def run_on_thread(self, items: Sequence[int]) -> Sequence[int | BaseException]:
        if error := self.begin(items).result(LONG):
            raise error
        return doubled(items)

    def give_up(self, done: asyncio.Future[Any]) -> StoreUnavailable:
        self.given_up.append(done)
        return OutcomeUnknown("too late", settled=done)

    async def begun(self, count: int = 1) -> None:
        """Waits until `count` batches are held up, and then until no task can go on."""
        await until(lambda: len(self.gates) >= count)
        await iterations()

    async def let_back(self, error: Exception | None = None) -> None:
        """Lets the first batch that is held up return."""
        await self.begun()
        back = len(self.observed)
        self.gates.pop(0).set_result(error)
        await until(lambda: len(self.observed) > back)
        await iterations()

    async def close(self) -> None:
        self.is_closing = True
        for gate in self.gates:
            if not gate.done():
                gate.set_result(None)
        await self.batcher.close()


def doubled(items: Sequence[int]) -> Sequence[int | BaseException]:
    return [2 * item if item >= 0 else ValueError(item) for item in items]


def over_asyncio(doubler: Doubler, timeout: float, *, at_once: int = 1) -> Runner[int, int]:
    return AsyncioRunner(
        doubler.run, at_once=at_once, timeout=timeout, give_up=lambda: OutcomeUnknown("too late")
    )


def two_over_asyncio(doubler: Doubler, timeout: float) -> Runner[int, int]:
    return over_asyncio(doubler, timeout, at_once=2)


def on_thread(doubler: Doubler, timeout: float) -> Runner[int, int]:
    return ThreadRunner("doubler", doubler.run_on_thread, timeout=timeout, give_up=doubler.give_up)


EVERY_RUNNER = {"asyncio": over_asyncio, "thread": on_thread}

Make = Any
"""Makes a `Doubler`, given its runner or nothing, and its `limit` and `timeout`."""


async def awaited(outcome: Awaitable[int]) -> int:
    return await outcome
