"""The sweep: deletes expired records to free their space, in small steps with rests between them.

A deletion can't be undone, so the sweep trusts no single clock. It deletes records that expired
`margin` seconds ago or earlier, by a clock that has been steady for as long
(`guidkeep.registry.clock`). If the store has a clock of its own, the two must differ by less than
half of the margin. So a record stays if it is live by the store's clock, by another node's, or by
this one before it was set.
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

log = structlog.get_logger(__name__)

REST = 4
"""The rest after each step, as a multiple of the time that the step took. So the sweep takes at
most a fifth of the writer's time."""


class Sweep:
    """Runs the sweep; see the module's text.

    Args:
        registry: deletes the records.
        watch: the clock.
        margin: seconds after its expiry for which a record is kept.
        interval: seconds between two sweeps.
        batch: records that are deleted in one step.
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
        """Sweeps until it is cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.reclaim()
            except StoreUnavailable as error:
                log.warning("sweep failed", detail=error.detail)
            except Exception:
                log.exception("sweep failed")

    async def reclaim(self) -> None:
        """Deletes the expired records; stops as soon as the clock is not believed.

        Raises:
            StoreUnavailable: the store fails.
        """
        if self._watch.believed() is None or not await self._store_agrees():
            return
        swept = self._batch
        while swept == self._batch and (now := self._watch.believed()) is not None:
            began = time.perf_counter()
            swept = await self._registry.sweep(self._batch, int(now - self._margin))
            await asyncio.sleep(REST * (time.perf_counter() - began))

    async def _store_agrees(self) -> bool:
        """Whether the store's clock, if there is one, agrees within half the margin."""
        ours, theirs = self._registry.clock(), await self._registry.store_clock()
        differs = theirs is not None and abs(theirs - ours) > self._margin / 2
        if theirs is not None and differs is not self._differs:
            self._differs = differs
            ahead = round(theirs - ours, 3)
            if differs:
                log.error("the store's clock differs: nothing expired is reclaimed", seconds=ahead)
            else:
                log.warning("the store's clock agrees again", seconds=ahead)
        return not differs
