"""A store that fails or waits on demand, and otherwise works like the real one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from guidkeep.caches.memory import MemoryCache
from tests.http.helpers import Api
from tests.support import app_of, make_registry, opened_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from guidkeep.record import Query, Record
    from guidkeep.stores import Counted, Store
    from tests.support import Clock


class FaultyStore:
    """The store. See the module's text.

    Attributes:
        fault: the error that every operation raises, if it is set.
        gate: the event that every operation waits for.
    """

    def __init__(self, store: Store) -> None:
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._waiting = 0
        self._came = asyncio.Condition()
        self._store = store

    async def wait_for(self, count: int) -> None:
        """Waits until that many operations wait at the gate."""
        async with asyncio.timeout(10), self._came:
            await self._came.wait_for(lambda: self._waiting == count)

    async def _obey(self) -> None:
        async with self._came:
            self._waiting += 1
            self._came.notify_all()
        await self.gate.wait()
        await asyncio.sleep(0)  # a real store never responds at once
        self._waiting -= 1
        if self.fault is not None:
            raise self.fault

    async def get(self, guid: str) -> Record | None:
        await self._obey()
        return await self._store.get(guid)

    async def insert(self, record: Record) -> bool:
        await self._obey()
        return await self._store.insert(record)

    async def replace(self, record: Record, version: int) -> bool:
        await self._obey()
        return await self._store.replace(record, version)

    async def delete(self, guid: str, version: int) -> bool:
        await self._obey()
        return await self._store.delete(guid, version)

    async def page(self, query: Query, now: int) -> list[Record]:
        await self._obey()
        return await self._store.page(query, now)

    async def skip(self, query: Query, count: int) -> str | None:
        await self._obey()
        return await self._store.skip(query, count)

    async def count(self, first: int, before: int, limit: int) -> Counted:
        await self._obey()
        return await self._store.count(first, before, limit)

    async def purge(self, now: int, limit: int) -> int:
        await self._obey()
        return await self._store.purge(now, limit)

    async def clock(self) -> float | None:
        await self._obey()
        return await self._store.clock()

    async def ping(self) -> None:
        await self._obey()
        await self._store.ping()

    async def close(self) -> None:
        await self._store.close()


class CutOffCache(MemoryCache):
    """A cache whose `ping` fails."""

    async def ping(self) -> None:
        raise ConnectionRefusedError


@asynccontextmanager
async def faulty(
    path: Path, clock: Clock, **settings: Any
) -> AsyncIterator[tuple[Api, FaultyStore]]:
    """A client of an application over a faulty store."""
    async with opened_store(path) as store:
        planted = FaultyStore(store)
        registry = make_registry(planted, clock=clock)
        async with Api(app_of(registry, **settings)) as client:
            yield client, planted
        planted.fault = None  # what is in doubt is looked up before the end
        await registry.close()
