"""The operations: create, update, replace, read, delete, list, count, sweep.

This module does what is the same for every store and cache: expiry, conditions, and what a request
makes of a record. `guidkeep.registry.drafts` merges and validates; `guidkeep.registry.access` reads
and writes one record, under races and failures. The registry reads its clock once per request.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from guidkeep.errors import (
    Fault,
    InvalidRequest,
)
from guidkeep.record import (
    ALWAYS,
    Condition,
    Query,
    Record,
    guid_fault,
    is_guid,
)
from guidkeep.registry.access import Access, Written, absent
from guidkeep.registry.aside import Aside
from guidkeep.registry.census import Census
from guidkeep.registry.clock import ClockWatch
from guidkeep.registry.paging import read_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.caches import Cache
    from guidkeep.metrics import Metrics
    from guidkeep.record import Change
    from guidkeep.registry.access import Decide
    from guidkeep.registry.census import Forecast
    from guidkeep.registry.drafts import Drafts
    from guidkeep.registry.paging import Page
    from guidkeep.stores import Counted, Store


class Registry(Access):
    """Performs the operations; see the module's text.

    Args:
        store: keeps the records.
        cache: keeps entries, rendered so that they can be served.
        drafts: makes records from requests.
        metrics: takes the registry's counts.
        clock: returns Unix time in seconds.
        watch: knows whether that clock can be believed.
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
        super().__init__(store, cache, metrics=metrics, clock=clock)
        self.watch = watch or ClockWatch(margin=0)
        self.aside = Aside()
        self._drafts = drafts
        self._census = Census(self._count, clock)

    # The operations.

    def hit(self, guid: str) -> bytes | None:
        """Returns the record's rendered entry from this process's cache, or None: unknown."""
        return self.cache.hit(guid, self.clock())

    def peek(self, guid: str, tell: Callable[[bytes | None], None]) -> bool:
        """Asks a cache on another machine for the rendered entry; see `Cache.peek`."""
        return self.cache.peek(guid, self.clock(), tell)

    async def read(self, guid: str) -> Record:
        """Returns the live record.

        Raises:
            InvalidRequest: `guid` is not a GUID.
            NotFound: there is no live record of it.
        """
        _check(guid)
        now = self.clock()
        record = await self._current(guid, now)
        if record is None or not record.is_live(now):
            raise absent(guid)
        return record

    async def create_or_update(
        self, change: Change, condition: Condition = ALWAYS, now: float | None = None
    ) -> Written:
        """Creates the record if there is no live one, else merges `change` into it.

        Args:
            change: the change that the request asks for.
            condition: must hold, or nothing is written.
            now: the time at which `change` was parsed; None: read the clock.

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
        """Returns a page of live records in GUID order; see `guidkeep.registry.paging`."""
        return await self._timed("page", read_page(self._store, query, int(self.clock())))

    async def forecast(self) -> Forecast:
        """Returns the number of live records by day of expiry, counted in the last few minutes.

        Raises:
            StoreUnavailable: the store can't count them, and the last count is too old.
        """
        return await self._census.ask()

    async def sweep(self, limit: int, now: int) -> int:
        """Deletes at most `limit` records that were expired at `now`; returns their number.

        This can't be undone. `guidkeep.registry.sweep` chooses a safe `now`.
        """
        swept = await self._timed("purge", self._store.purge(now, limit))
        self._metrics.count("guidkeep_swept_records", by=swept)
        return swept

    async def store_clock(self) -> float | None:
        """Returns Unix time in seconds by the store's own clock; None: the store has none."""
        return await self._store.clock()

    async def check(self) -> Literal["ok", "degraded"]:
        """Returns whether requests can be served; "degraded" means without the cache.

        Raises:
            StoreUnavailable: the store can't be reached, so requests can't be served.
        """
        await self._timed("ping", self._store.ping())
        try:
            await self.cache.ping()
        except OSError:
            return "degraded"
        return "ok"

    async def close(self) -> None:
        """Waits for the writes in doubt, though not for ever, and ends the threads."""
        await self._census.close()
        await self._settle_all()
        self.aside.close()

    # What requests make of records.

    async def _put(
        self, change: Change, condition: Condition, decide: Decide, now: float | None
    ) -> Written:
        """Writes the record that `decide` returns; without a usable GUID, a new record."""
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

    async def _count(self, first: int, before: int, limit: int) -> Counted:
        return await self._timed("count", self._store.count(first, before, limit))


async def _nothing(*_: object) -> None:
    """Decides to delete the record."""


def _check(guid: str) -> None:
    if wrong := guid_fault(guid):
        raise InvalidRequest([Fault(wrong, parameter="guid")])
