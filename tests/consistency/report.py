"""A plugin of pytest that reports the number of checked operations at the end of a run.

Tests may run in several processes; each sends its counts to the process that reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.consistency.judge import CHECKED, bound

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In one of several processes: sends its counts."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["checked"] = dict(CHECKED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController) -> None:
    """Receives the counts of one of several processes; a crashed one sends nothing."""
    CHECKED.update(getattr(node, "workeroutput", {}).get("checked", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Reports the counts of all processes."""
    if not CHECKED:
        return
    terminalreporter.section("consistency")
    for where, checked in sorted(CHECKED.items()):
        terminalreporter.write_line(f"{where}: {bound(checked)}")
    terminalreporter.write_line(f"all: {bound(CHECKED.total())}")
