"""The operations: create, update, replace, read, delete, list, count, sweep.

Here is what is the same whatever store and cache there are: expiry, conditions, races (and, in
`guidkeep.registry.drafts`, merging and validation). The clock is the registry's, asked once a
request; nothing below it asks.

*How a write goes.* Read the current record (cache or store), decide what it shall become, lease,
compare and set, settle, answer. When the compare-and-set fails somebody else wrote in between:
give the lease back, read from the store, decide again. That always ends, for each failure is
another's success; writers of one GUID in one process take turns after their first failure, so
that a crowd does not fail each other over and over.

*How a read goes.* From the cache, else from the store, which a crowd that wants one GUID asks once
(see `guidkeep.registry.single_flight`).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from guidkeep.caches import Lease
from guidkeep.errors import (
    Fault,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    StoreUnavailable,
)
from guidkeep.record import (
    ALWAYS,
    Condition,
    Query,
    Record,
    guid_fault,
    is_guid,
    new_guid,
    new_version,
)
from guidkeep.registry.aside import Aside
from guidkeep.registry.census import Census
from guidkeep.registry.clock import ClockWatch
from guidkeep.registry.fencing import hold_until, raise_fence
from guidkeep.registry.paging import read_page
from guidkeep.registry.single_flight import Flights

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from guidkeep.caches import Cache
    from guidkeep.metrics import Metrics
    from guidkeep.record import Change
    from guidkeep.registry.census import Forecast
    from guidkeep.registry.drafts import Drafts
    from guidkeep.registry.paging import Page
    from guidkeep.stores import Counted, Store

MAX_ATTEMPTS = 100
"""Tries of one write, each of which lost against another's: more than a crowd of nodes needs."""

CLOSE_PATIENCE = 10.0
"""Seconds that a registry which is closed waits for outcomes that are not certain yet."""
CLOSE_REST = 0.1
"""Seconds from one look to the next at those that take their time to be cancelled then."""

Result = TypeVar("Result")

if TYPE_CHECKING:
    Decide = Callable[[Record | None, float], Awaitable[Record | None]]
    """From the live record at that time to what it shall become; None: to nothing."""


class Written(NamedTuple):
    """What a write left behind: the record, and whether it was created."""

    record: Record
    created: bool


class Registry:
    """See the module's text.

    Args:
        store: where records are kept for good.
        cache: where finished answers are kept.
        drafts: makes records of what requests ask for.
        metrics: what the registry counts goes there.
        clock: returns Unix time in seconds.
        watch: knows whether that can be believed, if anybody asks.
    """

    def __init__(
        self,
        store: Store,
        cache: Cache,
        *,
        drafts: Drafts,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        watch: ClockWatch | None = None,
    ) -> None:
        self.cache = cache
        self.clock = clock
        self.watch = watch or ClockWatch(margin=0)
        self._store = store
        self._drafts = drafts
        self._metrics = metrics
        self._census = Census(self._count, clock)
        self._flights: Flights[Record | None] = Flights(self._spawn)
        self.aside = Aside()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[object]] = set()

    # The operations.

    def hit(self, guid: str) -> bytes | None:
        """The record's finished answer, if it is at hand; None says nothing."""
        return self.cache.hit(guid, self.clock())

    def peek(self, guid: str, tell: Callable[[bytes | None], None]) -> bool:
        """Asks a cache on another machine for it; see `Cache.peek`."""
        return self.cache.peek(guid, self.clock(), tell)

    async def read(self, guid: str) -> Record:
        """The live record.

        Raises:
            InvalidRequest: `guid` is none.
            NotFound: there is no live record of it.
        """
        _check(guid)
        now = self.clock()
        record = await self._current(guid, now)
        if record is None or not record.is_live(now):
            raise _absent(guid)
        return record

    async def create_or_update(
        self, change: Change, condition: Condition = ALWAYS, now: float | None = None
    ) -> Written:
        """Creates the record if there is no live one, else merges `change` into it.

        Args:
            change: what is wanted.
            condition: on which it is done.
            now: the time at which `change` was read, if the clock was asked already.

        Raises:
            InvalidRequest, PreconditionFailed.
        """

        async def decide(current: Record | None, now: float) -> Record:
            if current is not None:
                return await self._merged(current, change, now)
            return await self._made(change, now)

        return await self._put(change, condition, decide, now)

    async def replace(
        self, change: Change, condition: Condition = ALWAYS, now: float | None = None
    ) -> Written:
        """Creates the record, or replaces it as a whole.

        Raises:
            InvalidRequest, PreconditionFailed.
        """

        async def decide(current: Record | None, now: float) -> Record:
            return await self._made(change, now, current)

        return await self._put(change, condition, decide, now)

    async def update(
        self, guid: str, change: Change, condition: Condition = ALWAYS, now: float | None = None
    ) -> Record:
        """Merges `change` into the live record (RFC 7396).

        Raises:
            InvalidRequest, NotFound, PreconditionFailed.
        """
        if not is_guid(guid):
            raise InvalidRequest(self._drafts.faults(change, None, merges=True))

        async def decide(current: Record | None, now: float) -> Record | None:
            if current is not None:
                return await self._merged(current, change, now)
            if faults := self._drafts.faults(change, None, merges=True):
                raise InvalidRequest(faults)
            return None

        written = await self._write(guid, condition, decide, now)
        return written.record

    async def delete(self, guid: str, condition: Condition = ALWAYS) -> None:
        """Deletes the live record.

        Raises:
            InvalidRequest, NotFound, PreconditionFailed.
        """
        _check(guid)
        await self._write(guid, condition, _nothing)

    async def list(self, query: Query) -> Page:
        """A page of live records in GUID order; `guidkeep.registry.paging` bounds its cost."""
        return await self._timed("page", read_page(self._store, query, int(self.clock())))

    async def forecast(self) -> Forecast:
        """How many records are live, and when they will expire, as counted a minute ago or so.

        Raises:
            StoreUnavailable: the store can't count them, and what was counted last is too old.
        """
        return await self._census.ask()

    async def sweep(self, limit: int, now: int) -> int:
        """Reclaims at most `limit` records that were expired at `now`; says how many.

        They are gone for ever: `guidkeep.registry.sweep` says which `now` can be answered for.
        """
        swept = await self._timed("purge", self._store.purge(now, limit))
        self._metrics.count("guidkeep_swept_records", by=swept)
        return swept

    async def store_clock(self) -> float | None:
        """Unix time in seconds by the store's own clock; None: it has none."""
        return await self._store.clock()

    async def check(self) -> Literal["ok", "degraded"]:
        """Whether requests can be served: "degraded" is without the cache.

        Raises:
            StoreUnavailable: they can't.
        """
        await self._timed("ping", self._store.ping())
        try:
            await self.cache.ping()
        except OSError:
            return "degraded"
        return "ok"

    async def close(self) -> None:
        """Waits for writes that nobody waits for any more, so that they settle.

        If the store does not come back in time, their leases are left to time out.
        """
        await self._census.close()
        patience = asyncio.get_running_loop().time() + CLOSE_PATIENCE
        while self._tasks:
            left = patience - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait(self._tasks, timeout=max(left, CLOSE_REST))
            if not done:
                for task in self._tasks:
                    task.cancel()
        self.aside.close()

    # Writing.

    async def _put(
        self, change: Change, condition: Condition, decide: Decide, now: float | None
    ) -> Written:
        """Writes what `decide` makes of the record; without a usable GUID there is none yet."""
        if change.guid is not None and is_guid(change.guid):
            return await self._write(change.guid, condition, decide, now)
        now = self.clock() if now is None else now
        made = await self._made(change, now)
        written = None
        while written is None:  # once more only if the random GUID is taken already
            written = await self._create(made, condition, now)
        return written

    def _made(self, change: Change, now: float, former: Record | None = None) -> Awaitable[Record]:
        size = change.size + (len(former.metadata) if former else 0)
        return self.aside.do(size, lambda: self._drafts.made(change, now, former))

    def _merged(self, current: Record, change: Change, now: float) -> Awaitable[Record]:
        size = change.size + len(current.metadata)
        return self.aside.do(size, lambda: self._drafts.merged(current, change, now))

    async def _create(self, made: Record, condition: Condition, now: float) -> Written | None:
        """Stores it under a random GUID; None: that is taken already.

        Nobody has heard of that GUID. So a cache that takes nothing unread has nothing of it that a
        lease would have to drop, and nobody writes it whom a lease would have to overtake.
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
            async with self._turn(guid):
                written = await self._insist(guid, condition, decide, now)
        return written

    async def _insist(self, guid: str, condition: Condition, decide: Decide, now: float) -> Written:
        """Reads from the store and tries again, for as long as others write in between."""
        for _ in range(MAX_ATTEMPTS):
            stored = await self._timed("get", self._store.get(guid))
            written = await self._attempt(guid, stored, condition, decide, now)
            if written is not None:
                return written
        raise StoreUnavailable("Others write this GUID all the time; nothing was written.")

    def _turn(self, guid: str) -> asyncio.Lock:
        """What those wait for who failed to write that GUID; gone when nobody holds it."""
        return self._turns.setdefault(guid, asyncio.Lock())

    async def _attempt(
        self,
        guid: str,
        stored: Record | None,
        condition: Condition,
        decide: Decide,
        now: float,
    ) -> Written | None:
        """One lease, one compare-and-set; None: somebody else wrote in between."""
        current = stored if stored is not None and stored.is_live(now) else None
        target = await decide(current, now)
        left = target or current
        if left is None:
            raise _absent(guid)
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
        """Leases, compares and sets, settles; False: it was not `stored` any more."""
        lease = await self.cache.lease(guid)
        try:
            done = await self._compare_and_set(guid, stored, target)
        except BaseException as error:  # a cancellation too: it comes when the outcome is certain
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
        """What is done once the failed write can't happen any more; None: it can't already.

        That nothing was written is what a store says with StoreUnavailable, and what a
        cancellation says. An error that no store should raise says nothing.
        """
        if isinstance(error, OutcomeUnknown) and error.settled:
            return error.settled
        is_certain = isinstance(error, StoreUnavailable) and not isinstance(error, OutcomeUnknown)
        if is_certain or not isinstance(error, Exception) or stored is None:
            return None
        return self._spawn(raise_fence(self._store, stored, lambda: new_version(now, stored)))

    # Reading.

    async def _current(self, guid: str, now: float) -> Record | None:
        """The record as it is, expired or not, asked for once however many want it."""
        return await self._flights.join(guid, lambda: self._load(guid, now))

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

    # Plumbing.

    async def _count(self, first: int, before: int, limit: int) -> Counted:
        return await self._timed("count", self._store.count(first, before, limit))

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


async def _nothing(*_: object) -> None:
    """Decides that no record is to be there."""


def _check(guid: str) -> None:
    if wrong := guid_fault(guid):
        raise InvalidRequest([Fault(wrong, parameter="guid")])


def _absent(guid: str) -> NotFound:
    return NotFound(f"There is no live record of {guid}.")
