"""How far a command is, where it is not known how long it will take."""

from __future__ import annotations

import io

from guidkeep.cli import progress


def test_without_an_end_in_sight_there_is_the_number_alone() -> None:
    stream, now = io.StringIO(), [0.0]
    with progress.shown("importing", stream, clock=lambda: now[0]) as watch:
        for second in (5, 15):
            now[0] = second
            watch(None, second * 1000)
    assert stream.getvalue() == "importing: 15,000 records\n"
