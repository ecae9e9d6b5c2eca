"""The wall clock, and whether to believe it.

`expire` is a wall-clock time, so the wall clock decides whether a record is live, be the clock
right or wrong. A response given by a wrong clock is mended as soon as the clock is right again. A
record deleted by a wrong clock is lost. So everything that can't be undone, and everything that
measures ages, asks this module first.

*A jump.* The wall clock is compared with a steady clock, which cannot be set and which runs on
while the machine sleeps. The difference between the two changes only as fast as a clock may be
slewed (`SLEW`). If it changes by more, the wall clock was set: it may have been wrong before, or
be wrong now.

*Belief takes time.* The wall clock is believed once the difference has been steady for a while. The
while begins anew after the start, after a jump, and after a sleep, in which a machine may lose its
clock. It is the longer the longer the jump was, up to a day. A clock that is set back to where it
was before the jump is believed at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

SLEW = 0.001
"""Seconds per second by which a clock may drift and be slewed. NTP slews by half of it."""
TOLERANCE = 30.0
"""Seconds. Setting the clock by less is no jump, and a pause of less is no sleep."""
LONGEST = 86_400.0
"""Seconds after which every clock is believed that has been steady."""

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # BOOTTIME runs on in a sleep


def steady_time() -> float:
    """Seconds since an arbitrary instant, by a clock that cannot be set."""
    return time.clock_gettime(_STEADY)


class ClockWatch:
    """Watches the wall clock; see the module's text.

    It notices a jump when `believed` is called, so it has to be called every second.

    Args:
        margin: seconds for which the clock must have been steady. A change of more than half of
            it is a jump, even if it is less than `TOLERANCE`.
        wall: returns Unix time in seconds.
        steady: returns the seconds of a clock that cannot be set.
        on_jump: called after each jump.
    """

    def __init__(
        self,
        *,
        margin: float,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_time,
        on_jump: Callable[[], None] = lambda: None,
    ) -> None:
        self.jumps = 0
        self.is_doubted = False
        """Whether the clock has jumped and is not believed again yet."""
        self._margin = margin
        self._tolerance = min(TOLERANCE, margin / 2)
        self._wall = wall
        self._steady = steady
        self._on_jump = on_jump
        self._asked = steady()
        self._distance = wall() - self._asked
        self._believed: float | None = None  # the distance when the clock was last believed
        self._since, self._wait = self._asked, margin
        self._is_believed = False

    def believed(self) -> float | None:
        """Returns Unix time in seconds, or None while the clock is not believed."""
        now, steady = self._wall(), self._steady()
        passed, self._asked = steady - self._asked, steady
        drift = now - steady - self._distance
        slew = SLEW * min(max(passed, 0), TOLERANCE)
        self._distance += min(max(drift, -slew), slew)
        if abs(drift) > self._tolerance + slew:
            self._jumped(drift, now - steady)
        elif not 0 <= passed <= TOLERANCE:
            self._wait_anew(self._margin)
        elif not self._is_believed and steady - self._since >= self._wait:
            self._believe()
        return now if self._is_believed else None

    def _jumped(self, seconds: float, distance: float) -> None:
        self.jumps += 1
        if self._is_believed:
            self._believed = self._distance
        self._distance = distance
        if self._believed is not None and abs(distance - self._believed) <= self._tolerance:
            self._believe()
        else:
            self.is_doubted = True
            self._wait_anew(max(self._margin, min(abs(seconds), LONGEST)))
            log.error(
                "the clock jumped: nothing expired is reclaimed until it has been steady",
                seconds=round(seconds, 3),
                steady_for=self._wait,
            )
        self._on_jump()

    def _wait_anew(self, seconds: float) -> None:
        self._wait = seconds if self._is_believed else max(seconds, self._wait)
        self._since = self._asked
        self._is_believed = False

    def _believe(self) -> None:
        if self.is_doubted:
            log.warning("the clock is believed again")
        self._is_believed, self.is_doubted = True, False
