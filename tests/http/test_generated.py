"""Schemathesis generates requests from /openapi.json for a running server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.http import generated_lines
from tests.support import Clock, served

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "missing_required_header",
    "use_after_free",
    "ensure_resource_availability",
]
"""All checks that apply, except `positive_data_acceptance`: a request that the schema allows can
still be refused because of the stored record (412, or an update without a record)."""


def test_the_running_server_keeps_what_its_openapi_document_promises(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("schemathesis")
    with served(Clock(time.time()), store=f"sqlite:///{tmp_path / 'guidkeep.db'}") as running:
        done = subprocess.run(
            [
                program, "--no-color", "run", f"{running.address}/openapi.json",
                "--phases", "examples,coverage,fuzzing,stateful", "--checks", ",".join(CHECKS),
                "--max-examples", "30", "--generation-deterministic", "--warnings", "off",
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "SCHEMATHESIS_HOOKS": generated_lines.__name__,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Stateful" in done.stdout
