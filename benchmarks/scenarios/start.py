"""The time from the command to the first response, and the memory of the idle service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.databases import filled
from benchmarks.results import Figure, Outcome, Row, Target
from benchmarks.servers import guidkeep
from servers.processes import Failed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.bench import Bench

SECONDS = (Target("≤", 1.0, unit=" s"),)
MEMORY = (Target("<", 80, unit=" MB"),)

IDLE_SECONDS = 3
OK = 200


def run(bench: Bench) -> Outcome:
    """Starts it several times, on a new file and on an existing one."""
    database = filled(bench, bench.plan.records).copy(bench.folder)
    record = f"/guid/{database.guids.first(1)[0]}"
    fresh = bench.subfolder("start")
    _start(bench, database.file, record)  # so that the byte code is cached, as at every later start

    def again(file: Callable[[int], Path], path: str) -> list[float]:
        return [_start(bench, file(number), path) for number in range(bench.plan.starts)]

    existing = again(lambda _: database.file, record)
    new = again(lambda number: fresh / f"{number}.db", "/readyz")
    with guidkeep(bench, database.file) as server:
        time.sleep(IDLE_SECONDS)
        memory = server.process.resident_bytes() / 1e6
    return Outcome(
        [
            Row(
                what=f"From the command to the first GET of {bench.plan.records:,} records",
                figure=Figure(existing, " s", 2),
                targets=SECONDS,
            ),
            Row(
                what="From the command to the first 200, with a new file",
                figure=Figure(new, " s", 2),
                targets=SECONDS,
            ),
            Row(what="Idle memory (resident)", figure=Figure([memory], " MB"), targets=MEMORY),
        ]
    )


def _start(bench: Bench, file: Path, path: str) -> float:
    """Seconds from the command to the first response, on one core."""
    began = time.monotonic()
    with guidkeep(bench, file) as server:
        status, _ = server.get(path)
        took = time.monotonic() - began
    if status != OK:
        raise Failed(f"GET {path} got {status}")
    return took
