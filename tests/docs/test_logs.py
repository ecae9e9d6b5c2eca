"""docs/operating.md says that no log holds metadata."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
