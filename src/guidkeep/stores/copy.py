"""Copies all live records from one store to another, and compares the two.

Both stores are read side by side in GUID order, a page at a time, and compared. A record that the
target lacks, or has in an older version, is written there unchanged, with its version, so its ETag
stays the same. No progress is stored: a repeated copy reads the records that are already there,
which is quick, and continues with the others. So it also copies changes made since the last run.

Every write is a compare-and-set on the version that was read, so a target that is served meanwhile
loses nothing: newer records stay.

*Time.* A page has the records that are live when it is read. Before two pages are compared, records
that have expired since are removed from both, so that no expired record counts as missing.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import structlog

from guidkeep.errors import StoreUnavailable
from guidkeep.record import Query, Record, share_of
from guidkeep.system.backoff import Backoff
from guidkeep.system.tasks import all_done

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from guidkeep.stores import Store

    Watch = Callable[[float, int], None]
    """Called with the progress, from 0 to 1, and the number of records processed."""

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

PAGE = 1000
RETRIES = 5
"""Retries of an operation that failed in a store; after them the copy fails."""
BACKOFF = Backoff(first=0.5, longest=8.0, spread=0.0)
END = "G" * 32
"""Greater than any GUID."""


@dataclass(slots=True)
class Tally:
    """The numbers of records that a copy processed, by outcome.

    Attributes:
        created: records that the target lacked.
        updated: records of which the target had an older version.
        deleted: records that the source lacked.
        equal: records that were equal already.
        left: records of the target that are newer, or differ under the same version.
    """

    created: int = 0
    updated: int = 0
    deleted: int = 0
    equal: int = 0
    left: int = 0

    @property
    def seen(self) -> int:
        """The number of all records processed."""
        return self.created + self.updated + self.deleted + self.equal + self.left


class Difference(Enum):
    """How a record of the target differs from the source's."""

    MISSING = "is missing in the target"
    OLDER = "is older in the target"
    NEWER = "is newer in the target"
    OTHER = "has the same version in both, and other content"
    EXTRA = "is in the target only"


class _Stretch(NamedTuple):
    """The live records of both stores after the previous stretch, up to a GUID."""

    source: dict[str, Record]
    target: dict[str, Record]
    last: str

    @property
    def share(self) -> float:
        """The share of the GUID range up to the end of this stretch, from 0 to 1."""
        return 1.0 if self.last == END else share_of(self.last)


async def copy(
    source: Store, target: Store, *, clock: Callable[[], float], watch: Watch, delete: bool = False
) -> Tally:
    """Copies to the target all records that it lacks or has in an older version.

    Args:
        source: the store that is read.
        target: the store that is written.
        clock: returns Unix time in seconds.
        watch: called after each step.
        delete: whether to delete records of the target that the source lacks.

    Raises:
        StoreUnavailable: a store failed; the copy may be repeated.
    """
    tally = Tally()
    async with aclosing(_stretches(source, target, clock)) as stretches:
        async for stretch in stretches:
            work = [
                _bring(target, record, stored, tally)
                for guid, record in stretch.source.items()
                if not _is_there(record, stored := stretch.target.get(guid), tally)
            ]
            if delete:
                extra = stretch.target.keys() - stretch.source.keys()
                work += [_drop(target, stretch.target[guid], tally) for guid in extra]
            await all_done(work)
            watch(stretch.share, tally.seen)
    return tally


async def compare(
    source: Store,
    target: Store,
    *,
    clock: Callable[[], float],
    watch: Watch,
    differs: Callable[[str, Difference], None],
) -> int:
    """Compares GUID, expire, version and metadata of all live records; returns how many are equal.

    Args:
        source: one store.
        target: the other store.
        clock: returns Unix time in seconds.
        watch: called after each step.
        differs: called for each GUID that differs, in order.

    Raises:
        StoreUnavailable: a store failed.
    """
    equal = seen = 0
    async with aclosing(_stretches(source, target, clock)) as stretches:
        async for stretch in stretches:
            guids = sorted(stretch.source.keys() | stretch.target.keys())
            for guid in guids:
                difference = _difference(stretch.source.get(guid), stretch.target.get(guid))
                if difference is None:
                    equal += 1
                else:
                    differs(guid, difference)
            seen += len(guids)
            watch(stretch.share, seen)
    return equal


def _difference(source: Record | None, target: Record | None) -> Difference | None:
    if source == target:
        return None
    if target is None:
        return Difference.MISSING
    if source is None:
        return Difference.EXTRA
    if source.version == target.version:
        return Difference.OTHER
    return Difference.OLDER if target.version < source.version else Difference.NEWER


def _is_there(record: Record, stored: Record | None, tally: Tally) -> bool:
    """Returns whether the target's record is equal or must stay; if so, counts it."""
    if stored is None or stored.version < record.version:
        return False
    if stored == record:
        tally.equal += 1
    else:
        tally.left += 1
    return True


async def _bring(target: Store, record: Record, stored: Record | None, tally: Tally) -> None:
    """Replaces the stored record until the target has this record or a newer one.

    An earlier attempt whose outcome was in doubt may have written it already.
    """
    while not _is_there(record, stored, tally):
        if stored is None:
            if await _patiently(partial(target.insert, record)):
                tally.created += 1
                return
        elif await _patiently(partial(target.replace, record, stored.version)):
            tally.updated += 1
            return
        stored = await _patiently(partial(target.get, record.guid))


async def _drop(target: Store, record: Record, tally: Tally) -> None:
    if await _patiently(partial(target.delete, record.guid, record.version)):
        tally.deleted += 1


async def _stretches(
    source: Store, target: Store, clock: Callable[[], float]
) -> AsyncGenerator[_Stretch, None]:
    """Yields both stores' records from the first GUID to the last; reads one stretch ahead."""
    sides = _Side(source, clock), _Side(target, clock)
    reading = asyncio.create_task(_read(*sides, clock))
    try:
        while (stretch := await reading) is not None:
            reading = asyncio.create_task(_read(*sides, clock))
            yield stretch
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(source: _Side, target: _Side, clock: Callable[[], float]) -> _Stretch | None:
    if source.is_over and target.is_over:
        return None
    await all_done([source.fill(), target.fill()])
    last = min(source.horizon, target.horizon)
    now = clock()
    return _Stretch(source.take(last, now), target.take(last, now), last)


class _Side:
    """One of two stores that are read side by side, in GUID order."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._records: list[Record] = []
        self.horizon = ""
        """All records up to this GUID have been read."""

    @property
    def is_over(self) -> bool:
        """Whether all records have been read and taken."""
        return self.horizon == END and not self._records

    async def fill(self) -> None:
        """Reads a page, unless records of the previous page are left."""
        if self._records or self.horizon == END:
            return
        query = Query(limit=PAGE, after=self.horizon or None)
        page = await _patiently(partial(self._store.page, query, int(self._clock())))
        self._records = page
        self.horizon = page[-1].guid if len(page) == PAGE else END

    def take(self, last: str, now: float) -> dict[str, Record]:
        """Removes the records up to that GUID; returns those that are live."""
        taken = [record for record in self._records if record.guid <= last]
        del self._records[: len(taken)]
        return {record.guid: record for record in taken if record.is_live(now)}


async def _patiently(call: Callable[[], Awaitable[Result]]) -> Result:
    """Retries the call, after a pause, if the store is unavailable; at most `RETRIES` times."""
    for retry in range(RETRIES):
        try:
            return await call()
        except StoreUnavailable as error:
            pause = BACKOFF.seconds(retry)
            log.warning("store unavailable", detail=error.detail, pause=pause)
            await asyncio.sleep(pause)
    return await call()
