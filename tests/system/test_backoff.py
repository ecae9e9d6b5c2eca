"""The waits between failed attempts."""

from __future__ import annotations

import pytest

from guidkeep.system.backoff import Backoff


def test_each_wait_is_longer_than_the_one_before_up_to_the_longest() -> None:
    backoff = Backoff(first=0.1, longest=1.0, spread=0.0)
    assert [backoff.seconds(retry) for retry in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff = Backoff(first=1.0, longest=100.0, factor=3.0, spread=0.0)
    assert [backoff.seconds(retry) for retry in range(6)] == [1.0, 3.0, 9.0, 27.0, 81.0, 100.0]


@pytest.mark.parametrize(
    ("spread", "chance", "seconds"),
    [(0.5, 0.0, 2.0), (0.5, 0.5, 3.0), (0.5, 1.0, 4.0), (1.0, 0.0, 0.0), (1.0, 0.25, 1.0)],
)
def test_part_of_a_wait_is_random(spread: float, chance: float, seconds: float) -> None:
    assert Backoff(2.0, 9.0, spread=spread).seconds(1, lambda: chance) == seconds


def test_two_attempts_that_failed_together_do_not_wait_for_the_same_time() -> None:
    backoff = Backoff(first=1.0, longest=1.0)
    waits = {backoff.seconds(0) for _ in range(100)}
    assert len(waits) > 90
    assert min(waits) >= 0.5
    assert max(waits) <= 1.0


def test_a_wait_has_its_ceiling_after_any_number_of_failures() -> None:
    assert Backoff(first=0.1, longest=5.0, spread=0.0).seconds(10**9) == 5.0
