from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.model.protocol import FAULTS, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.model.protocol import Kind

pytestmark = pytest.mark.thorough

# One letter per process. Processes of a kind are interchangeable, so only their numbers count.
LETTERS: dict[str, Kind] = {"R": "read", "U": "update", "C": "create", "D": "delete"}


def kinds(letters: str) -> Sequence[Kind]:
    return [LETTERS[letter] for letter in letters]


@pytest.mark.parametrize("processes", ["UURRR", "UDRRR", "UUUR", "UDCR", "DCRR", "DCDCR"])
def test_no_interleaving_lets_a_read_go_back_or_miss_an_answered_write(processes: str) -> None:
    assert walk(kinds(processes)).broken is None


@pytest.mark.parametrize("processes", ["UURR", "UDRR", "UDCR", "DCCR"])
def test_a_crash_at_any_step_breaks_no_promise(processes: str) -> None:
    assert walk(kinds(processes), crashes=1).broken is None


@pytest.mark.parametrize("processes", ["UURR", "UDRR", "UDCR", "DCCR"])
def test_a_flush_at_any_instant_hides_no_answered_write(processes: str) -> None:
    assert walk(kinds(processes), flushes=1).broken is None


@pytest.mark.parametrize(
    ("fault", "processes", "flushes"),
    [  # the fewest processes that show each
        ("no lease", "URR", 0),
        ("unchecked fill", "URR", 0),
        ("lease once", "UUR", 0),
        ("lease first", "UUR", 0),
        ("reader ignores writers", "UURR", 0),
        ("release all", "UURRR", 0),
        ("fill though overtaken", "UUR", 0),
        ("lost keeps", "URR", 1),
        ("settle before commit", "UURR", 0),
        ("absence cached", "DCDCR", 0),
    ],
)
def test_the_protocol_with_one_thought_left_out_is_caught(
    fault: str, processes: str, flushes: int
) -> None:
    assert fault in FAULTS
    assert walk(kinds(processes), flushes=flushes, fault=fault).broken


def test_a_flush_can_take_a_read_back_that_runs_during_a_write() -> None:
    """The limit of the promise: before its response, a write's record may disappear again."""
    way = walk(kinds("UURRR"), flushes=1, strict=True).broken
    assert way
    assert all(process.step != "done" for process in way[-1].processes if process.kind == "update")
