"""docs/operating.md says that no log holds metadata, and explains every event."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS = ("debug", "info", "warning", "error", "exception", "critical")

OF_THE_LOG = {"log lines lost", "an event could not be logged"}
"""Events of `guidkeep.logs` itself, which does not log by a logger."""
FAULT = """
import structlog
from guidkeep import logs

def handle(body):
    raise RuntimeError("a fault")

logs.configure(form={form!r}, level="info")
try:
    handle("somebody's " + "metadata")
except RuntimeError:
    structlog.get_logger("guidkeep.http").exception("request failed")
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_traceback_of_a_fault_shows_no_variables(form: str) -> None:
    """They include bodies and headers."""
    done = subprocess.run(
        [sys.executable, "-c", FAULT.format(form=form)], capture_output=True, text=True, check=True
    )
    assert "a fault" in done.stderr
    assert "somebody's metadata" not in done.stderr


def events() -> Iterator[tuple[str, str]]:
    """Each event that the source logs, with its level."""
    for path in (ROOT / "src" / "guidkeep").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level),
                    args=[ast.Constant(value=str(event)), *_],
                ) if level in LEVELS:
                    yield event, "error" if level == "exception" else level
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level)):
                    assert level not in LEVELS, f"{path}: {ast.unparse(node)}: name the event here"


def test_every_event_is_explained_with_its_level_and_no_other_is() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    [table] = re.findall(r"^## Logs$.*?^\| event \|.*?\n\n", page, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`.*?`) \| ([a-z, ]+) \|", table, re.MULTILINE)
    explained = {
        (event, level)
        for names, levels in rows
        for event in re.findall("`([^`]+)`", names)
        for level in levels.split(", ")
    }
    logged = set(events())
    assert {event for event, _ in explained} - {event for event, _ in logged} == OF_THE_LOG
    assert {
        event for event, _ in logged - explained if not begins_a_row(page.replace(table, ""), event)
    } == set()


def begins_a_row(page: str, event: str) -> bool:
    """Whether a row of the page has it, perhaps only its beginning, as in `the beginning ...`."""
    beginnings = re.findall(r"^\| `([^`]*?)(?: \.\.\.)?` \|", page, re.MULTILINE)
    return any(event.startswith(beginning) for beginning in beginnings)
