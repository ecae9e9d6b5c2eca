"""The wall clock, and whether it can be believed.

Whether a record is valid is decided by the wall clock, be it right or wrong: it is what `expire` is
said in. Such an answer is right again as soon as the clock is. A record that a wrong clock has
deleted is not. So what can't be undone, and what goes by ages, asks here first.

*A jump.* A steady clock runs beside, one that nobody sets and that goes on while the machine
sleeps. The two keep their distance but for what a clock is made to run faster or slower (`SLEW`).
If the distance changes by more, the wall clock was set, and nobody here knows whether it was right
before or is right now.

*Belief comes with time.* Nothing is believed until the clocks have kept their distance for a while:
after the start, after a jump, and after a sleep, in which a clock may have been lost. The longer
the jump, the longer it takes, up to a day. A clock that is set back to where it was before the jump
is believed at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger("guidkeep.clock")

SLEW = 0.001
"""Seconds a second by which a clock may run wrong and be put right. NTP allows half of it."""
TOLERANCE = 30.0
"""Seconds: a clock that is set by less has not jumped, nor has a process slept that was not heard
of for less."""
LONGEST = 86_400.0
"""Seconds after which any clock is believed that has kept its distance."""

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux' goes on in a sleep


def steady_time() -> float:
    """Seconds from some time on, by a clock that nobody sets."""
    return time.clock_gettime(_STEADY)


class ClockWatch:
    """See the module's text. It learns of a jump when it is asked, so it is asked each second.

    Args:
        margin: seconds for which the clocks have to keep their distance. A jump by half of it
            counts as one, though it be less than `TOLERANCE`.
        wall: returns Unix time in seconds.
        steady: returns the seconds of a clock that nobody sets.
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
        """Whether it has jumped, and is not believed again yet."""
        self._margin = margin
        self._tolerance = min(TOLERANCE, margin / 2)
        self._wall = wall
        self._steady = steady
        self._on_jump = on_jump
        self._asked = steady()
        self._distance = wall() - self._asked
        self._believed: float | None = None  # the distance at which it was believed last
        self._since, self._wait = self._asked, margin
        self._is_believed = False

    def believed(self) -> float | None:
        """Unix time in seconds; None: the clock that says so is not to be believed."""
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
