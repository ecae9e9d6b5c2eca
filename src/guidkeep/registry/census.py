"""The census: how many records are live, and on which day they will expire.

Counting ten million records takes a store seconds, so nobody counts for each who asks. What was
counted last is told again for a minute; whoever asks after that gets the same once more, and sets
off the next count behind it. Only who would be told what is too old waits, and a crowd of those
waits for one count. When nobody asks nothing is counted.

*In steps.* The store counts so many records at a time, along its index by `expire`, and rests in
between for some times as long as the step took, unless somebody waits. So a count takes a small
part of the store's time, and no other request waits for more than a step of it.

*What it is not.* No snapshot: records that come and go while it counts may be in it or not. It says
when it began, in `as_of`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from guidkeep.errors import StoreUnavailable
from guidkeep.record import LAST_EXPIRE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from guidkeep.stores import Counted

log = structlog.get_logger("guidkeep.census")

DAYS = 90
"""Days that are told one by one, today among them."""
DAY = 86_400
STEP = 50_000
"""Records in a step."""
REST = 4
"""How long it rests after a step, in times of what the step took."""
FRESH = 60
"""Seconds for which what was counted is told again."""
TOO_OLD = 300
"""Seconds after which nobody is told it any more."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was counted.

    Attributes:
        as_of: Unix time in seconds at which the count began.
        days: how many records expire on each of `DAYS` days (UTC), that of `as_of` first.
        later: how many expire after those.
    """

    as_of: int
    days: Sequence[int]
    later: int

    @property
    def first_day(self) -> int:
        """The first of the days, counted from 1970-01-01."""
        return self.as_of // DAY

    @property
    def live(self) -> int:
        """All of them."""
        return sum(self.days) + self.later


class Census:
    """See the module's text.

    Args:
        count: counts a step; see `Store.count`.
        clock: returns Unix time in seconds.
        sleep: rests for so many seconds.
    """

    def __init__(
        self,
        count: Callable[[int, int, int], Awaitable[Counted]],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._count = count
        self._clock = clock
        self._sleep = sleep
        self._known: Forecast | None = None
        self._counting: asyncio.Task[Forecast] | None = None
        self._waiting = 0

    async def ask(self) -> Forecast:
        """What was counted last, if that is not too old, else what is counted now.

        Raises:
            StoreUnavailable: it has to be counted, and the store can't.
        """
        now, known = int(self._clock()), self._known
        age = now - known.as_of if known else TOO_OLD
        if known and 0 <= age < FRESH and now // DAY == known.first_day:
            return known
        if self._counting is None:
            self._counting = asyncio.create_task(self._run(now))
            self._counting.add_done_callback(self._done)
        if known and 0 <= age < TOO_OLD and now // DAY == known.first_day:
            return known
        self._waiting += 1
        try:
            return await asyncio.shield(self._counting)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Counts no further."""
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.wait([self._counting])

    def _done(self, counting: asyncio.Task[Forecast]) -> None:
        self._counting = None
        if counting.cancelled():
            return
        error = counting.exception()
        if isinstance(error, StoreUnavailable):
            log.warning("count failed", detail=error.detail)
        elif error is not None:
            log.error("count failed", exc_info=error)
        else:
            self._known = counting.result()

    async def _run(self, now: int) -> Forecast:
        today, first = now // DAY, now + 1
        ends = [(day + 1) * DAY for day in range(today, today + DAYS)]
        days = []
        for end in ends:
            days.append(await self._between(first, end))
            first = end
        return Forecast(now, days, await self._between(first, LAST_EXPIRE + 1))

    async def _between(self, first: int, before: int) -> int:
        """How many expire from `first` on and before the other."""
        records = 0
        while first < before:
            began = time.perf_counter()
            found, first = await self._count(first, before, STEP)
            records += found
            if not self._waiting:
                await self._sleep(REST * (time.perf_counter() - began))
        return records
