"""The table of docs/hostile.md: the cost of each attack before and now.

`make docs` writes it from the two runs that `docs/measured/hostile/` holds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MEASURED = Path(__file__).resolve().parents[3] / "docs" / "measured" / "hostile"
RUNS = ("before", "after")
MB = 1e6
SECOND = 1_000
"""Milliseconds."""
WELL = ("200", "201")
COLUMNS = (
    *("attack", "bytes sent", "CPU before", "CPU now", "memory before", "memory now"),
    *("others before", "others now"),
)


def table(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The table, from the results of two runs."""
    then = {row["what"]: row for row in before["rows"]}
    lines = [_line(then[row["what"]], row) for row in after["rows"] if row["what"] in then]
    return "\n".join([f"| {' | '.join(COLUMNS)} |", "|---|--:|--:|--:|--:|--:|---|---|", *lines])


def table_of_the_runs() -> str:
    """The table, from the two runs that are kept."""
    return table(*(json.loads((MEASURED / name / "results.json").read_text()) for name in RUNS))


def _line(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    both = (before, after)
    sent = next((row["details"]["sent"] for row in both if "details" in row), 0)
    cells = [
        f"{sent:,}",
        *(_cpu(row) for row in both),
        *(_memory(row) for row in both),
        *(_others(row) for row in both),
    ]
    return f"| {after['what']} | {' | '.join(cells)} |"


def _cpu(row: Mapping[str, Any]) -> str:
    details = row.get("details")
    if details is None:
        return "does not start"
    return f"{'' if details['settled'] else '> '}{details['cpu']:.2f} s"


def _memory(row: Mapping[str, Any]) -> str:
    """The maximum, and the value after the attacker had left."""
    details = row.get("details")
    return f"{details['peak'] / MB:,.0f}, {details['kept'] / MB:,.0f} MB" if details else ""


def _others(row: Mapping[str, Any]) -> str:
    details = row.get("details")
    if details is None:
        return ""
    p99 = details["p99"]
    told = [f"{p99 / SECOND:.1f} s" if p99 >= SECOND else f"{p99:.0f} ms"]
    for name, statuses in (("writes", details["writes"]), ("`/livez`", details["livez"])):
        failed = sum(count for status, count in statuses.items() if status not in WELL)
        if failed:
            told.append(f"{failed} of {sum(statuses.values())} {name} failed")
    return "; ".join(told)
