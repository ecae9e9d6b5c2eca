"""The census: how many records are live, and on which day they will expire.

A store needs seconds to count ten million records, so there is no count for each request. For a
minute, requests get the last count. A request after that gets the same count again and starts the
next one in the background. If the last count is too old, requests wait for the next one, and all of
them wait for the same one. Without requests nothing is counted.

*In steps.* The store counts `STEP` records at a time, along its index by `expire`. Unless a request
waits, the census rests after each step for `REST` times as long as the step took. So a count takes
a small part of the store's time, and no other request waits for more than one step.

*Not a snapshot.* A record that is created, deleted or moved during the count may be in it or not.
`as_of` is the time at which the count began.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from guidkeep.errors import StoreUnavailable
from guidkeep.record import FORECAST_DAYS, LAST_EXPIRE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from guidkeep.stores import Counted

log = structlog.get_logger(__name__)

DAY = 86_400
STEP = 50_000
"""Records that one step counts."""
REST = 4
"""The rest after a step, as a multiple of the time that the step took."""
FRESH = 60
"""Seconds for which a count is returned without a new one."""
TOO_OLD = 300
"""Seconds after which a count is not returned any more."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The result of a count.

    Attributes:
        as_of: Unix time in seconds at which the count began.
        days: the number of records that expire on each of `FORECAST_DAYS` days (UTC), from the
            day of `as_of`.
        later: the number of records that expire after these days.
    """

    as_of: int
    days: Sequence[int]
    later: int

    @property
    def first_day(self) -> int:
        """The first of the days, as days since 1970-01-01."""
        return self.as_of // DAY

    @property
    def live(self) -> int:
        """The number of live records."""
        return sum(self.days) + self.later


class Census:
    """Counts the live records; see the module's text.

    Args:
        count: counts one step; see `Store.count`.
        clock: returns Unix time in seconds.
        sleep: sleeps for a number of seconds.
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
        """Returns the last count, or a new one if the last is too old.

        Raises:
            StoreUnavailable: a new count is needed, and the store fails.
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
        """Stops the count that is running."""
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
        ends = [(day + 1) * DAY for day in range(today, today + FORECAST_DAYS)]
        days = []
        for end in ends:
            days.append(await self._between(first, end))
            first = end
        return Forecast(now, days, await self._between(first, LAST_EXPIRE + 1))

    async def _between(self, first: int, before: int) -> int:
        """The number of records with `first` <= expire < `before`."""
        records = 0
        while first < before:
            began = time.perf_counter()
            found, first = await self._count(first, before, STEP)
            records += found
            if not self._waiting:
                await self._sleep(REST * (time.perf_counter() - began))
        return records
