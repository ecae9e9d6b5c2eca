"""The sweep: it gives the room of expired records back, in small steps with rests between them.

What it deletes is gone for ever, so it takes no clock's word for it. It takes what expired `margin`
ago; by a clock that has been steady for as long (`guidkeep.registry.clock`); and, if the store has
a clock of its own, by one that differs from that by less than half of the margin. So a record stays
that is valid by either clock, by that of another node, or by this one before it was set.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from guidkeep.errors import StoreUnavailable

if TYPE_CHECKING:
    from guidkeep.registry.clock import ClockWatch
    from guidkeep.registry.registry import Registry

log = structlog.get_logger("guidkeep.sweeping")

REST = 4
"""How long the sweep rests after each batch, in times of what the batch took: it takes a fifth
of the writer's time at most."""


class Sweep:
    """See the module's text.

    Args:
        registry: whose records are reclaimed.
        watch: the clock.
        margin: seconds for which a record has been expired before it is reclaimed.
        interval: seconds from one look for expired records to the next.
        batch: records that are reclaimed in one step.
    """

    def __init__(
        self,
        registry: Registry,
        watch: ClockWatch,
        *,
        margin: float,
        interval: float,
        batch: int,
    ) -> None:
        self._registry = registry
        self._watch = watch
        self._margin = margin
        self._interval = interval
        self._batch = batch
        self._differs = False

    async def run(self) -> None:
        """Sweeps for ever."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.reclaim()
            except StoreUnavailable as error:
                log.warning("sweep failed", detail=error.detail)
            except Exception:
                log.exception("sweep failed")

    async def reclaim(self) -> None:
        """Reclaims all that may be; stops as soon as the clock is not believed.

        Raises:
            StoreUnavailable: the store can't.
        """
        if self._watch.believed() is None or not await self._store_agrees():
            return
        swept = self._batch
        while swept == self._batch and (now := self._watch.believed()) is not None:
            began = time.perf_counter()
            swept = await self._registry.sweep(self._batch, int(now - self._margin))
            await asyncio.sleep(REST * (time.perf_counter() - began))

    async def _store_agrees(self) -> bool:
        """Whether the store's clock, if it has one, says about the same."""
        ours, theirs = self._registry.clock(), await self._registry.store_clock()
        differs = theirs is not None and abs(theirs - ours) > self._margin / 2
        if theirs is not None and differs is not self._differs:
            self._differs = differs
            tell = log.error if differs else log.warning
            tell(
                "the store's clock is another: nothing expired is reclaimed"
                if differs
                else "the store's clock is the same again",
                seconds=round(theirs - ours, 3),
            )
        return not differs
