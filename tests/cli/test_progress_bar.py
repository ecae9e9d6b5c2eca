"""The progress of a command whose duration is not known."""

from __future__ import annotations

import io
import os
import pty
from typing import TYPE_CHECKING

from guidkeep.cli import progress_bar

if TYPE_CHECKING:
    import pytest


def test_without_an_end_in_sight_there_is_the_number_alone() -> None:
    stream, now = io.StringIO(), [0.0]
    with progress_bar.shown("importing", stream, clock=lambda: now[0]) as watch:
        for second in (5, 15):
            now[0] = second
            watch(None, second * 1000)
    assert stream.getvalue() == "importing: 15,000 records\n"


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    stream, now = io.StringIO(), [0.0]
    with progress_bar.shown("copying", stream, clock=lambda: now[0]) as watch:
        for second in range(25):
            now[0] = second
            watch(second / 25, second * 1000)
    assert stream.getvalue() == ("copying: 40%, 10,000 records\ncopying: 80%, 20,000 records\n")


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM", "CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    master, slave = pty.openpty()
    with (
        open(slave, "w") as terminal,  # noqa: PTH123 - a descriptor, not a path
        progress_bar.shown("copying", terminal) as watch,
    ):
        watch(0.5, 1234)
    text = "".join(iter(lambda: rest_of(master), ""))
    os.close(master)
    assert "copying" in text
    assert "50%" in text
    assert "1,234 records" in text


def rest_of(terminal: int) -> str:
    """Returns the text written to it; empty when it is closed and all is read."""
    try:
        return os.read(terminal, 65_536).decode()
    except OSError:
        return ""
