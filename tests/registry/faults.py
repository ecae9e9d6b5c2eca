"""The real cache and the real registry, each with one rule of the protocol left out.

These are the faults of `tests.model.protocol.FAULTS`, planted in the shipped code.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from guidkeep.caches import Lease
from guidkeep.caches.memory import MemoryCache, _Standing
from guidkeep.record import Record
from guidkeep.registry.registry import Registry
from tests.registry.explorer import Scenario

if TYPE_CHECKING:
    from guidkeep.record import Condition
    from guidkeep.registry.access import Decide, Written

_held: ContextVar[Lease | None] = ContextVar("_held", default=None)
"""The lease of the writer that runs in this context."""


class NoLease(MemoryCache):
    """A writer does not announce itself; it only puts its record in, or drops the entry."""

    async def lease(self, guid: str) -> Lease:
        return Lease(guid, next(self._tokens))

    async def settle(self, lease: Lease, record: Record | None, now: float) -> None:
        if record is None:
            self._drop(lease.guid)
        else:
            self._put(record, now)


class UncheckedFill(MemoryCache):
    """A reader fills though its lease was revoked."""

    async def fill(self, lease: Lease, record: Record | None, now: float) -> None:
        standing = self._standing.get(lease.guid)
        if standing is not None and standing.reader == lease.token:
            del self._standing[lease.guid]
        if record is not None:
            self._put(record, now)


class ReaderIgnoresWriters(MemoryCache):
    """A reader gets a lease while a writer's stands."""

    async def get(self, guid: str, now: float) -> Record | Lease | None:
        found = await super().get(guid, now)
        standing = self._standing.get(guid)
        if found is None and standing is not None and standing.reader is None:
            standing.reader = next(self._tokens)
            return Lease(guid, standing.reader)
        return found

    async def fill(self, lease: Lease, record: Record | None, now: float) -> None:
        writers = self._standing.get(lease.guid, _Standing()).writers
        last_writer = self._standing.get(lease.guid, _Standing()).last_writer
        await super().fill(lease, record, now)
        if writers:
            self._standing.setdefault(lease.guid, _Standing(None, writers, last_writer))


class ReleaseAll(MemoryCache):
    """Settling takes back the leases of all writers."""

    async def settle(self, lease: Lease, record: Record | None, now: float) -> None:
        standing = self._standing.get(lease.guid)
        if standing is not None and lease.token in standing.writers:
            standing.writers = {lease.token}
        await super().settle(lease, record, now)


class FillThoughOvertaken(MemoryCache):
    """Settling puts the record in though another writer leased since."""

    async def settle(self, lease: Lease, record: Record | None, now: float) -> None:
        standing = self._standing.get(lease.guid)
        if standing is not None:
            standing.last_writer = lease.token
        await super().settle(lease, record, now)


class LostKeeps(MemoryCache):
    """Settling with a lease that is gone leaves the entry there."""

    def _lost(self, guid: str) -> None:
        pass


class LeaseOnce(Registry):
    """A writer keeps its lease over a failed compare-and-set."""

    async def _write(
        self, guid: str, condition: Condition, decide: Decide, now: float | None = None
    ) -> Written:
        _held.set(None)
        return await super()._write(guid, condition, decide, now)

    async def _set(
        self, guid: str, stored: Record | None, target: Record | None, now: float
    ) -> bool:
        lease = _held.get() or await self.cache.lease(guid)
        _held.set(lease)
        done = await self._compare_and_set(guid, stored, target)
        if done:
            await self.cache.settle(lease, target, now)
        return done


class LeaseFirst(Registry):
    """A writer leases before it reads the current record, not after."""

    async def _write(
        self, guid: str, condition: Condition, decide: Decide, now: float | None = None
    ) -> Written:
        now = self.clock() if now is None else now
        written = None
        while written is None:
            _held.set(await self.cache.lease(guid))
            stored = await self._store.get(guid)
            written = await self._attempt(guid, stored, condition, decide, now)
        return written

    async def _set(
        self, guid: str, stored: Record | None, target: Record | None, now: float
    ) -> bool:
        done = await self._compare_and_set(guid, stored, target)
        lease = _held.get()
        assert lease is not None
        await self.cache.settle(lease, target if done else None, now)
        return done


class SettleBeforeCommit(Registry):
    """The record is put into the cache before the store has it."""

    async def _set(
        self, guid: str, stored: Record | None, target: Record | None, now: float
    ) -> bool:
        lease = await self.cache.lease(guid)
        await self.cache.settle(lease, target, now)
        return await self._compare_and_set(guid, stored, target)


class AbsenceCached(MemoryCache):
    """That there is no record is kept as an entry: to a reader, a record that has expired."""

    absent: frozenset[str] = frozenset()

    async def get(self, guid: str, now: float) -> Record | Lease | None:
        return _nothing(guid) if guid in self.absent else await super().get(guid, now)

    async def lease(self, guid: str) -> Lease:
        self.absent -= {guid}
        return await super().lease(guid)

    async def settle(self, lease: Lease, record: Record | None, now: float) -> None:
        standing = self._standing.get(lease.guid)
        last = standing is not None and standing.last_writer == lease.token
        await super().settle(lease, record if record and record.expire else None, now)
        if last and record is not None:
            self.absent = self.absent | {lease.guid} if not record.expire else frozenset()


class DeletionCached(Registry):
    """A deletion settles with the absence of the record."""

    async def _set(
        self, guid: str, stored: Record | None, target: Record | None, now: float
    ) -> bool:
        lease = await self.cache.lease(guid)
        done = await self._compare_and_set(guid, stored, target)
        await self.cache.settle(lease, (target or _nothing(guid)) if done else None, now)
        return done


def _nothing(guid: str) -> Record:
    return Record(guid, 0, 0, "{}")


SCENARIOS = {
    "no lease": Scenario("read update read", nodes=2, cache=NoLease),
    "unchecked fill": Scenario("read update read", nodes=2, cache=UncheckedFill),
    "lease once": Scenario("update update read", registry=LeaseOnce),
    "lease first": Scenario("update update read", registry=LeaseFirst),
    "reader ignores writers": Scenario("update update read read", cache=ReaderIgnoresWriters),
    # Narrow, so the beginning is fixed: the first has committed, the second has just leased.
    "release all": Scenario(
        "update update read read read", nodes=2, begin="0000001111", cache=ReleaseAll
    ),
    "fill though overtaken": Scenario("update update read", cache=FillThoughOvertaken),
    "lost keeps": Scenario("update read read", may="flush", cache=LostKeeps),
    "settle before commit": Scenario("update update read", registry=SettleBeforeCommit),
    # The first is about to insert when the second has inserted and has its response.
    "absence cached": Scenario(
        "create create delete read",
        "absent",
        begin="00000111111",
        cache=AbsenceCached,
        registry=DeletionCached,
    ),
}
"""For each fault the smallest set of operations that shows it."""
