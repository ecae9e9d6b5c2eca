"""A store whose calls wait until the test releases them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from guidkeep.caches.memory import MemoryCache
from guidkeep.record import Record
from tests.registry.memory_store import MemoryStore
from tests.support import GUID, MARCH_2015, iterations

if TYPE_CHECKING:
    from guidkeep.registry.registry import Registry

OLD = Record(GUID, MARCH_2015 + 100, 1, '{"user":"old"}')
NEW = Record(GUID, MARCH_2015 + 100, 2, '{"user":"new"}')


class SlowStore(MemoryStore):
    """A store whose reads and writes wait until the test releases them, one by one.

    A call takes effect when it is released; `fail` makes it raise instead.
    """

    def __init__(self, *records: Record) -> None:
        super().__init__()
        self.records = {record.guid: record for record in records}
        self.waiting: list[asyncio.Future[None]] = []
        self.slow = True

    async def get(self, guid: str) -> Record | None:
        self.gets += 1
        found = self.records.get(guid)
        await self._turn()
        return found

    async def replace(self, record: Record, version: int) -> bool:
        await self._turn()
        return await super().replace(record, version)

    async def _turn(self) -> None:
        if self.slow:
            gate = asyncio.get_running_loop().create_future()
            self.waiting.append(gate)
            await gate

    async def let_go(self, error: BaseException | None = None) -> None:
        """Releases the call that has waited longest."""
        await iterations()
        self.waiting = [
            gate for gate in self.waiting if not gate.done()
        ]  # a cancelled call has left the queue
        gate = self.waiting.pop(0)
        if error is None:
            gate.set_result(None)
        else:
            gate.set_exception(error)
        await iterations()


def assert_nothing_is_left(registry: Registry) -> None:
    cache = registry.cache
    assert not registry._loads
    assert not registry._tasks
    assert not isinstance(cache, MemoryCache) or not cache._standing
