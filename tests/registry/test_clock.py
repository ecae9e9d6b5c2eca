"""The watched clock: belief and jumps."""

from __future__ import annotations

import time

import pytest
from structlog.testing import capture_logs

from guidkeep.registry.clock import LONGEST, TOLERANCE, ClockWatch, steady_time
from tests.support import Clock

MARGIN = 3600.0
HOUR, DAY, YEAR = 3600.0, 86_400.0, 365 * 86_400.0


class Watched:
    """A watched pair of clocks; time passes in steps of a second or ten, as a server looks."""

    def __init__(self, margin: float = MARGIN) -> None:
        self.wall, self.steady = Clock(), Clock(0)
        self.told = 0
        self.watch = ClockWatch(
            margin=margin, wall=self.wall, steady=self.steady, on_jump=self._jumped
        )

    def _jumped(self) -> None:
        self.told += 1

    def believed(self) -> bool:
        return self.watch.believed() is not None

    def go_on(self, seconds: float, rate: float = 1.0) -> bool:
        """Lets seconds pass at the wall clock's `rate`; returns whether the clock is believed."""
        for _ in range(int(seconds / 10)):
            self.steady.advance(10)
            self.wall.advance(10 * rate)
            self.watch.believed()
        return self.believed()


@pytest.fixture
def clocks() -> Watched:
    """A pair of clocks that is believed."""
    clocks = Watched()
    assert clocks.go_on(MARGIN)
    return clocks


def test_nothing_is_believed_until_the_clock_has_been_steady_for_the_margin() -> None:
    clocks = Watched()
    assert not clocks.believed()
    assert not clocks.go_on(MARGIN - 10)
    assert not clocks.watch.is_doubted
    assert clocks.go_on(10)
    assert clocks.watch.believed() == clocks.wall.now


@pytest.mark.parametrize(("jump", "jumps"), [(TOLERANCE + 0.005, 0), (TOLERANCE + 0.015, 1)])
def test_what_a_clock_may_run_wrong_meanwhile_does_not_count_as_a_part_of_a_jump(
    clocks: Watched, jump: float, jumps: int
) -> None:
    """In ten seconds a hundredth of one."""
    clocks.steady.advance(10)
    clocks.wall.advance(10 + jump)
    clocks.believed()
    assert clocks.watch.jumps == jumps


@pytest.mark.parametrize(
    ("jump", "lasts"),
    [
        (31, MARGIN), (-31, MARGIN), (2 * HOUR, 2 * HOUR), (-2 * HOUR, 2 * HOUR),
        (YEAR, LONGEST), (-YEAR, LONGEST),
    ],
)  # fmt: skip
def test_after_a_jump_the_clock_is_doubted_the_longer_the_further_it_went(
    clocks: Watched, jump: float, lasts: float
) -> None:
    with capture_logs() as logged:
        clocks.wall.advance(jump)
        doubts = []
        for seconds, believed in ((0, False), (lasts - 10, False), (10, True)):
            assert clocks.go_on(seconds) is believed
            doubts.append(clocks.watch.is_doubted)
        assert doubts == [True, True, False]
    assert (clocks.told, clocks.watch.jumps) == (1, 1)
    assert [line["log_level"] for line in logged] == ["error", "warning"]
    assert logged[0]["seconds"] == pytest.approx(jump)


def test_a_clock_that_is_set_back_to_where_it_was_is_believed_at_once(clocks: Watched) -> None:
    clocks.wall.advance(YEAR)
    assert not clocks.go_on(70)
    clocks.wall.advance(-YEAR)
    assert clocks.believed()
    assert not clocks.watch.is_doubted
    assert clocks.told == 2


def test_a_second_jump_begins_the_waiting_anew(clocks: Watched) -> None:
    for _ in range(2):
        clocks.wall.advance(2 * HOUR)
        assert not clocks.believed()
        assert not clocks.go_on(2 * HOUR - 10)
    assert clocks.go_on(10)


def test_a_jump_before_it_was_ever_believed_is_one_too() -> None:
    clocks = Watched()
    clocks.go_on(60)
    for jump in (-YEAR, YEAR):
        clocks.wall.advance(jump)
        assert not clocks.believed()
        assert not clocks.go_on(LONGEST - 10)
    assert clocks.go_on(10)


def test_a_clock_that_runs_a_little_wrong_or_is_put_right_has_not_jumped(clocks: Watched) -> None:
    for rate in (1.0005, 0.9995):
        assert clocks.go_on(2 * DAY, rate)
    for step in (1, -1, TOLERANCE - 1, 1 - TOLERANCE):
        clocks.wall.advance(step)
        assert clocks.go_on(2 * DAY)
    assert clocks.told == 0


def test_many_small_steps_are_a_jump(clocks: Watched) -> None:
    assert not clocks.go_on(HOUR, 1.05)
    assert clocks.watch.is_doubted


def test_with_a_small_margin_small_jumps_count() -> None:
    clocks = Watched(margin=10.0)
    assert clocks.go_on(20)
    clocks.wall.advance(6)
    assert not clocks.believed()
    assert clocks.told == 1


@pytest.mark.parametrize("slept", [HOUR, YEAR, -YEAR])
def test_after_a_sleep_it_has_to_be_steady_again_but_is_not_doubted(
    clocks: Watched, slept: float
) -> None:
    """Backwards: as on a machine on which both clocks can be set."""
    for clock in (clocks.wall, clocks.steady):
        clock.advance(slept)
    assert not clocks.believed()
    assert not clocks.watch.is_doubted
    assert not clocks.go_on(MARGIN - 10)
    assert clocks.go_on(10)
    assert clocks.told == 0


def test_a_sleep_does_not_shorten_the_waiting_after_a_jump(clocks: Watched) -> None:
    clocks.wall.advance(YEAR)
    assert not clocks.believed()
    for clock in (clocks.wall, clocks.steady):
        clock.advance(HOUR)
    assert not clocks.believed()
    assert not clocks.go_on(LONGEST - 10)
    assert clocks.go_on(10)


def test_the_steady_clock_is_the_machines_and_goes_on() -> None:
    first = steady_time()
    assert steady_time() >= first >= time.monotonic() - 1
