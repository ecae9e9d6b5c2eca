"""Preconditions of RFC 9110 §13.1, evaluated for one record."""

from __future__ import annotations

import pytest

from guidkeep.http.conditions import Preconditions
from guidkeep.record import Record
from tests.support import GUID

RECORD = Record(GUID, 4_102_444_800, 7, '{"user":"Ann"}')


@pytest.mark.parametrize(
    ("condition", "there", "absent"),
    [
        (Preconditions(), True, True),
        (Preconditions(if_match=frozenset(['"7"'])), True, False),
        (Preconditions(if_match=frozenset(['"6"'])), False, False),
        (Preconditions(if_match=frozenset("*")), True, False),
        (Preconditions(if_match=frozenset()), False, False),
        (Preconditions(if_none_match=frozenset(['"7"'])), False, True),
        (Preconditions(if_none_match=frozenset(['"6"'])), True, True),
        (Preconditions(if_none_match=frozenset("*")), False, True),
    ],
)
def test_they_hold_for_the_versions_that_they_name(
    condition: Preconditions, there: bool, absent: bool
) -> None:
    for current, holds in ((RECORD, there), (None, absent)):
        assert (condition.match_holds(current) and condition.none_match_holds(current)) == holds
