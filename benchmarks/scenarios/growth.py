"""Cold reads and creates on a small and on a large database."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from benchmarks.databases import filled
from benchmarks.load import create, read_random
from benchmarks.results import Figure, Outcome, Row, Target, ratios
from benchmarks.servers import guidkeep
from servers.processes import Failed

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.databases import Database

SMALL = "the small one"
TARGETS = (Target("≥", 0.7, SMALL),)

BYTES_A_RECORD = 250
"""An upper estimate of a record's size in the file, including indexes."""


def run(bench: Bench) -> Outcome:
    """Measures the two databases in turn.

    Creates make a small database grow, so each round uses a fresh copy of it.
    """
    needed = 2 * BYTES_A_RECORD * bench.plan.most_records
    if shutil.disk_usage(bench.kept).free < needed:
        raise Failed(f"the large database needs {needed / 1e9:.0f} GB on the disk of {bench.kept}")
    small, large = filled(bench, bench.plan.records), filled(bench, bench.plan.most_records)
    copy = large.copy(bench.folder)
    try:
        with (
            guidkeep(bench, small.copy(bench.folder).file, "--cache", "none://") as one,
            guidkeep(bench, copy.file, "--cache", "none://") as other,
        ):
            reads = bench.rounds(
                {
                    "small": lambda: read_random(bench, one, small.guids).rate,
                    "large": lambda: read_random(bench, other, large.guids).rate,
                }
            )
            creates = bench.rounds(
                {
                    "small": lambda: _create_afresh(bench, small),
                    "large": lambda: create(bench, other).rate,
                }
            )
    finally:
        copy.remove()
    return Outcome([*_rows(bench, "GET cold", reads), *_rows(bench, "Durable create", creates)])


def _create_afresh(bench: Bench, database: Database) -> float:
    copy = database.copy(bench.folder)
    with guidkeep(bench, copy.file, "--cache", "none://") as server:
        rate = create(bench, server).rate
    copy.remove()
    return rate


def _rows(bench: Bench, what: str, found: dict[str, list[float]]) -> list[Row]:
    small, large = found["small"], found["large"]
    return [
        Row(
            what=f"{what} among {bench.plan.records:,} records, `--cache none://`",
            figure=Figure(small, "/s"),
        ),
        Row(
            what=f"{what} among {bench.plan.most_records:,} records, `--cache none://`",
            figure=Figure(large, "/s"),
            ratios=ratios(large, {SMALL: small}),
            targets=TARGETS,
        ),
    ]
