"""The table of problems: for docs/api.md."""

from __future__ import annotations

from guidkeep.wire.problems import PROBLEMS, TYPE_PREFIX


def table() -> str:
    """Returns the table as Markdown."""
    rows = ["| status | type | when |", "|---|---|---|"]
    rows += [
        f"| {problem.status} | `{TYPE_PREFIX}{code}` | {problem.when} |"
        for code, problem in PROBLEMS.items()
    ]
    return "\n".join(rows)
