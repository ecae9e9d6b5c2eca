"""Store and cache with small delays before and after each call, which provoke races."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, TypeVar

from guidkeep.batching.outcome import Outcome
from guidkeep.errors import OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from guidkeep.caches import Cache, Lease
    from guidkeep.record import Record
    from guidkeep.stores import Store

Result = TypeVar("Result")

LATE = 0.1
"""Maximum seconds by which a write with a lost response is late."""


class Jitter:
    """Delays: none in half of all cases; else a short one, or a long one.

    Args:
        seed: determines the delays.
        most: maximum seconds of a long delay; a short one is a tenth of it.
        often: the part of all delays that is long.
    """

    def __init__(self, seed: object, most: float, *, often: float = 0.07) -> None:
        self._random = random.Random(f"jitter {seed}")  # noqa: S311 - load, no secret
        self._most = most
        self._often = often

    async def around(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Returns the call's result, with a delay before and after the call."""
        await self.pause()
        result = await call()
        await self.pause()
        return result

    async def pause(self) -> None:
        """One delay."""
        lot = self._random.random()
        if lot > 0.5:
            length = self._most if lot > 1 - self._often else self._most / 10
            await asyncio.sleep(self._random.random() * length)


class JitteredCache:
    """A cache with delays before and after each call."""

    def __init__(self, cache: Cache, jitter: Jitter) -> None:
        self.inner = cache
        self._jitter = jitter

    def __getattr__(self, name: str) -> Any:
        """Passes everything else to the cache, unchanged."""
        return getattr(self.inner, name)

    async def get(self, guid: str, now: float) -> Record | Lease | None:
        return await self._jitter.around(lambda: self.inner.get(guid, now))

    async def fill(self, lease: Lease, record: Record | None, now: float) -> None:
        await self._jitter.around(lambda: self.inner.fill(lease, record, now))

    async def lease(self, guid: str) -> Lease:
        return await self._jitter.around(lambda: self.inner.lease(guid))

    async def settle(self, lease: Lease, record: Record | None, now: float) -> None:
        await self._jitter.around(lambda: self.inner.settle(lease, record, now))


class JitteredStore:
    """A store with such delays. Its writes can't be cancelled, as the `Store` protocol demands."""

    def __init__(self, store: Store, jitter: Jitter) -> None:
        self.inner = store
        self._jitter = jitter
        self._tasks: set[asyncio.Task[None]] = set()

    def __getattr__(self, name: str) -> Any:
        """Passes everything else to the store, unchanged."""
        return getattr(self.inner, name)

    async def get(self, guid: str) -> Record | None:
        return await self._jitter.around(lambda: self.inner.get(guid))

    async def insert(self, record: Record) -> bool:
        return await self._surely(lambda: self.inner.insert(record))

    async def replace(self, record: Record, version: int) -> bool:
        return await self._surely(lambda: self.inner.replace(record, version))

    async def delete(self, guid: str, version: int) -> bool:
        return await self._surely(lambda: self.inner.delete(guid, version))

    def _surely(self, write: Callable[[], Awaitable[bool]]) -> Outcome[bool]:
        outcome: Outcome[bool] = Outcome(loop=asyncio.get_running_loop())

        async def work() -> None:
            try:
                outcome.resolve(await self._jitter.around(write))
            except BaseException as error:  # noqa: BLE001 - raised by the caller that awaits it
                outcome.resolve(error)

        self._go(work())
        return outcome

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class LosingStore(JitteredStore):
    """A store that loses the responses of a part of the writes, and does those late, or never.

    Args:
        store: the store itself.
        jitter: the delays.
        seed: determines the lost responses, and the outcomes of these writes.
        part: the part of the writes.
    """

    def __init__(self, store: Store, jitter: Jitter, *, seed: object, part: float) -> None:
        super().__init__(store, jitter)
        self._random = random.Random(f"lost {seed}")  # noqa: S311 - load, no secret
        self._part = part

    def _surely(self, write: Callable[[], Awaitable[bool]]) -> Outcome[bool]:
        if self._random.random() >= self._part:
            return super()._surely(write)
        outcome: Outcome[bool] = Outcome(loop=asyncio.get_running_loop())
        late = self._random.random() * LATE

        async def work() -> None:
            await self._jitter.pause()
            outcome.resolve(OutcomeUnknown("The answer was lost."))
            await asyncio.sleep(late)
            if late < LATE / 2:
                await write()

        self._go(work())
        return outcome
