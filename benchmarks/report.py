"""Rows as a table on the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import plots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.results import Outcome, Row

HEAD = ("What", "Result", "Range", "Compared", "Target", "Reached")

ABOUT = """\
`benchmarks/__init__.py` describes the method. Absolute figures depend on the machine; compare the
ratios. A figure is the median of its rounds, with their range beside it; a ratio is the median of
the ratios of the rounds. Unless stated otherwise there are 64 connections. Redis, MariaDB and
PostgreSQL share the servers' core with the service in front of them: their work is part of the cost
of a response. All run with their defaults: a commit is on disk before it is acknowledged, and a
Redis that is a cache keeps nothing on disk."""


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one run.

    Attributes:
        outcomes: the results, by the scenario's name.
        machine: facts about the machine.
        command: the command that makes the report again.
        date: the date and time, in UTC.
    """

    outcomes: Mapping[str, Outcome]
    machine: Mapping[str, str]
    command: str
    date: str

    @property
    def rows(self) -> list[Row]:
        """All rows, in order."""
        return [row for outcome in self.outcomes.values() for row in outcome.rows]

    def table(self) -> str:
        """The table for a terminal: aligned columns, notes below their row."""
        cells = [_cells(row) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(HEAD, *cells, strict=True)]
        lines = [_aligned(HEAD, widths), _aligned(["─" * width for width in widths], widths)]
        for row, cell in zip(self.rows, cells, strict=True):
            lines.append(_aligned(cell, widths))
            if row.note:
                lines.append(f"    {row.note}")
        return "\n".join(lines)

    def markdown(self) -> str:
        """The page of results."""
        facts = [f"- {name}: {fact}" for name, fact in self.machine.items()]
        lines = [f"| {' | '.join(_with_note(row))} |" for row in self.rows]
        return "\n".join(
            [
                "# Measured",
                "",
                f"Written by `{self.command}` on {self.date}.",
                ABOUT,
                "",
                *self._pictures(),
                f"| {' | '.join(HEAD)} |",
                "|---|--:|--:|---|---|---|",
                *lines,
                "",
                "## The machine",
                "",
                *facts,
                "",
            ]
        )

    def _pictures(self) -> list[str]:
        found = []
        if any(outcome.reads for outcome in self.outcomes.values()):
            found += ["![Reads a second](reads.svg)", ""]
        if any(outcome.creates for outcome in self.outcomes.values()):
            found += ["![Creates a second by connections](writes.svg)", ""]
        return found

    def json(self) -> str:
        """All results, with the values of each round."""
        rows = [
            {"scenario": name, **_facts(row)}
            for name, outcome in self.outcomes.items()
            for row in outcome.rows
        ]
        whole = {
            "command": self.command,
            "date": self.date,
            "machine": self.machine,
            "rows": rows,
        }
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"

    def write(self, folder: Path) -> list[Path]:
        """Writes all files, plots only if there are values for them."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {"results.md": self.markdown(), "results.json": self.json()}
        for outcome in self.outcomes.values():
            if outcome.reads:
                files["reads.svg"] = plots.reads(outcome.reads, outcome.shares)
            if outcome.creates:
                files["writes.svg"] = plots.writes(outcome.creates)
        for name, text in files.items():
            (folder / name).write_text(text)
        return [folder / name for name in files]


def _cells(row: Row) -> list[str]:
    return [
        row.what,
        str(row.figure) if row.figure else "-",
        row.figure.range if row.figure else "",
        ", ".join(f"{figure} of {name}" for name, figure in row.ratios.items()),
        ", ".join(map(str, row.targets)),
        row.reached,
    ]


def _with_note(row: Row) -> list[str]:
    """The cells for Markdown; missed targets are bold."""
    what, *middle, reached = _cells(row)
    return [
        f"{what}; {row.note}" if row.note else what,
        *middle,
        f"**{reached}**" if reached in {"no", "not measured"} else reached,
    ]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    numbers = {1, 2}  # the columns that are aligned to the right
    return "  ".join(
        cell.rjust(width) if at in numbers else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ).rstrip()


def _facts(row: Row) -> dict[str, object]:
    figure = row.figure
    return {
        "what": row.what,
        "value": figure.value if figure else None,
        "unit": figure.unit.strip() if figure else None,
        "rounds": list(figure.values) if figure else [],
        "ratios": {name: found.value for name, found in row.ratios.items()},
        "targets": [str(target) for target in row.targets],
        "reached": row.reached or None,
        "note": row.note or None,
        **({"details": row.details} if row.details else {}),
    }
