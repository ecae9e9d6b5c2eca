"""Access to one record: reads and writes, in the cache and in the store.

*A read.* From the cache, else from the store. Concurrent reads of one GUID share one read of the
store (see `guidkeep.registry.single_flight`).

*A write.* Read the current record from the cache or the store, decide on the new one, take a lease,
compare and set, settle. If the compare-and-set fails, another writer was faster: give the lease
back, read from the store and decide again. This ends, because each failure is the success of
another write. Writers of one GUID in one process queue after their first failure, so that they do
not make each other fail again and again.

*A write in doubt.* Its lease stands until its outcome is certain (see `guidkeep.registry.fencing`).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from guidkeep.caches import Lease
from guidkeep.errors import NotFound, OutcomeUnknown, StoreUnavailable
from guidkeep.record import Record, new_guid, new_version
from guidkeep.registry.fencing import hold_until, raise_fence
from guidkeep.registry.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from guidkeep.caches import Cache
    from guidkeep.metrics import Metrics
    from guidkeep.record import Condition
    from guidkeep.stores import Store

    Decide = Callable[[Record | None, float], Awaitable[Record | None]]
    """Takes the live record and the time; returns the record to write, or None to delete it."""

MAX_ATTEMPTS = 100
"""Maximum attempts at one write that lost against other writers: more than many nodes need."""
CLOSE_PATIENCE = 10.0
"""Seconds that `close` waits for writes in doubt."""
CLOSE_REST = 0.1
"""Seconds between looks at tasks that `close` has cancelled and that have not ended."""

Result = TypeVar("Result")


class Written(NamedTuple):
    """The result of a write: the record, and whether the write created it."""

    record: Record
    created: bool


class Access:
    """Reads and writes one record at a time; see the module's text.

    Args:
        store: keeps the records.
        cache: keeps entries, rendered so that they can be served.
        metrics: takes the durations of the store's operations.
        clock: returns Unix time in seconds. Nothing below reads a clock.
    """

    def __init__(
        self, store: Store, cache: Cache, *, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self.cache = cache
        self.clock = clock
        self._store = store
        self._metrics = metrics
        self._loads: SingleFlight[Record | None] = SingleFlight(self._spawn)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[object]] = set()

    # Reading.

    async def _current(self, guid: str, now: float) -> Record | None:
        """Returns the record, expired or not; concurrent reads of one GUID share one load."""
        return await self._loads.join(guid, lambda: self._load(guid, now))

    async def _load(self, guid: str, now: float) -> Record | None:
        found = await self.cache.get(guid, now)
        if not isinstance(found, Lease):
            return found or await self._timed("get", self._store.get(guid))
        record = None
        try:
            record = await self._timed("get", self._store.get(guid))
        finally:
            live = record if record is not None and record.is_live(now) else None
            await self.cache.fill(found, live, now)
        return record

    # Writing.

    async def _create(self, made: Record, condition: Condition, now: float) -> Written | None:
        """Stores the record under a random GUID; returns None if that GUID exists already.

        No client knows the new GUID. So, unless the cache takes entries that no request has read,
        there is no entry for a lease to drop and no other writer for a lease to hold off.
        """
        condition.require(None)
        record = made.under(new_guid(), new_version(now, None))
        if self.cache.takes_unread:
            done = await self._set(record.guid, None, record, now)
        else:
            done = await self._timed("insert", self._store.insert(record))
        return Written(record, created=True) if done else None

    async def _write(
        self, guid: str, condition: Condition, decide: Decide, now: float | None = None
    ) -> Written:
        now = self.clock() if now is None else now
        stored = await self._current(guid, now)
        written = await self._attempt(guid, stored, condition, decide, now)
        if written is None:
            async with self._lock(guid):
                written = await self._insist(guid, condition, decide, now)
        return written

    async def _insist(self, guid: str, condition: Condition, decide: Decide, now: float) -> Written:
        """Reads from the store and tries again while other writers are faster."""
        for _ in range(MAX_ATTEMPTS):
            stored = await self._timed("get", self._store.get(guid))
            written = await self._attempt(guid, stored, condition, decide, now)
            if written is not None:
                return written
        raise StoreUnavailable(
            "Other requests change this GUID again and again; nothing was written."
        )

    def _lock(self, guid: str) -> asyncio.Lock:
        """Returns the lock of writers whose first attempt at that GUID failed.

        It exists only while a writer holds it or waits for it.
        """
        return self._locks.setdefault(guid, asyncio.Lock())

    async def _attempt(
        self,
        guid: str,
        stored: Record | None,
        condition: Condition,
        decide: Decide,
        now: float,
    ) -> Written | None:
        """Takes one lease, does one compare-and-set; returns None if another writer was faster."""
        current = stored if stored is not None and stored.is_live(now) else None
        target = await decide(current, now)
        left = target or current
        if left is None:
            raise absent(guid)
        condition.require(current)
        if current is not None and target == current.under(current.guid, 0):
            return Written(current, created=False)  # nothing to change: nothing to write
        if target is not None:
            left = target = target.under(guid, new_version(now, stored))
        done = await self._set(guid, stored, target, now)
        return Written(left, created=current is None) if done else None

    async def _set(
        self, guid: str, stored: Record | None, target: Record | None, now: float
    ) -> bool:
        """Leases, compares and sets, settles; False: the record was not `stored` any more."""
        lease = await self.cache.lease(guid)
        try:
            done = await self._compare_and_set(guid, stored, target)
        except BaseException as error:  # a cancellation too: the store delays it until certain
            certain = self._certainty(error, stored, now)
            if certain is None:
                await self.cache.settle(lease, None, now)
            else:
                self._spawn(hold_until(certain, self.cache, lease, now))
            raise
        await self.cache.settle(lease, target if done else None, now)
        return done

    def _compare_and_set(
        self, guid: str, stored: Record | None, target: Record | None
    ) -> Awaitable[bool]:
        if stored is None and target is not None:
            return self._timed("insert", self._store.insert(target))
        version = stored.version if stored else 0
        if target is None:
            return self._timed("delete", self._store.delete(guid, version))
        return self._timed("replace", self._store.replace(target, version))

    def _certainty(
        self, error: BaseException, stored: Record | None, now: float
    ) -> asyncio.Future[Any] | None:
        """Returns a future that is done when the failed write can't land any more; None: it can't.

        StoreUnavailable and a cancellation mean that nothing was written. After an error that no
        store should raise the outcome is in doubt.
        """
        if isinstance(error, OutcomeUnknown) and error.settled:
            return error.settled
        is_certain = isinstance(error, StoreUnavailable) and not isinstance(error, OutcomeUnknown)
        if is_certain or not isinstance(error, Exception) or stored is None:
            return None
        return self._spawn(raise_fence(self._store, stored, lambda: new_version(now, stored)))

    # Plumbing.

    async def _timed(self, operation: str, work: Awaitable[Result]) -> Result:
        began = time.perf_counter()
        outcome = "failed"
        try:
            result = await work
            outcome = "ok"
        finally:
            took = time.perf_counter() - began
            self._metrics.tally("guidkeep_store_seconds", operation, outcome).observe(took)
        return result

    def _spawn(self, work: Coroutine[object, object, Result]) -> asyncio.Task[Result]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _settle_all(self) -> None:
        """Waits until writes in doubt are certain and their leases settled.

        If the store does not come back within `CLOSE_PATIENCE`, the leases are left to time out.
        """
        patience = asyncio.get_running_loop().time() + CLOSE_PATIENCE
        while self._tasks:
            left = patience - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait(self._tasks, timeout=max(left, CLOSE_REST))
            if not done:
                for task in self._tasks:
                    task.cancel()


def absent(guid: str) -> NotFound:
    """Returns the error for a GUID that has no live record."""
    return NotFound(f"There is no live record of {guid}.")
