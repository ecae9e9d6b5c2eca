"""How much was checked, and what follows from that, at the end of a run: a plugin of pytest.

Tests may run in several processes at once; each hands what it checked to the one that reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.consistency.judge import CHECKED, bound

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In one of several processes: hands over what it checked."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["checked"] = dict(CHECKED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController) -> None:
    """Takes what one of several processes checked; one that crashed hands over nothing."""
    CHECKED.update(getattr(node, "workeroutput", {}).get("checked", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how much all of them checked."""
    if not CHECKED:
        return
    terminalreporter.section("consistency")
    for where, checked in sorted(CHECKED.items()):
        terminalreporter.write_line(f"{where}: {bound(checked)}")
    terminalreporter.write_line(f"all: {bound(CHECKED.total())}")
