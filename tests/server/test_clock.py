"""A server whose clock is set to a wrong time, and then back to the right one."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from tests.server.wire import record, wired
from tests.support import Clock, served, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.wire import Wire

YEAR = 365 * 86_400
MARGIN = 60.0


class Watched:
    """The server, and its clocks."""

    def __init__(self, wire: Wire, clock: Clock, steady: Clock) -> None:
        self.wire, self.clock, self.steady = wire, clock, steady

    def figure(self, name: str) -> float:
        found = re.search(
            rf"^{name} (\S+)$", self.wire.ask("GET", "/metrics").body.decode(), re.MULTILINE
        )
        assert found
        return float(found[1])

    def time_passes(self, seconds: float) -> None:
        for clock in (self.clock, self.steady):
            clock.advance(seconds)

    def has_swept(self, count: int) -> bool:
        """Ten seconds later: the sweep may begin once the clock was steady for the margin."""
        self.time_passes(10)
        return self.figure("guidkeep_swept_records_total") == count

    def is_ready(self) -> dict[str, str]:
        answer = self.wire.ask("GET", "/readyz")
        assert answer.status == 200
        told: dict[str, str] = json.loads(answer.body)
        return told


def test_a_clock_that_is_a_year_ahead_for_a_while_costs_no_record(tmp_path: Path) -> None:
    clock, steady = Clock(), Clock(0)
    path = tmp_path / "guidkeep.db"
    options = {"store": f"sqlite:///{path}", "sweep_interval": 0.02, "sweep_margin": MARGIN}
    with served(clock, steady, **options) as server, wired(server.address) as wire:
        watched = Watched(wire, clock, steady)
        guids = [f"{number:032X}" for number in range(20)]
        for guid in guids:
            assert wire.ask("POST", f"/guid/{guid}", record("Ann")).status == 201
        soon = json.dumps({"user": "Ann", "expire": int(clock.now) + 1})
        assert wire.ask("POST", "/guid/" + "F" * 32, soon.encode()).status == 201
        wait_until(lambda: watched.has_swept(1))

        clock.advance(YEAR)
        wait_until(lambda: watched.figure("guidkeep_clock_jumps_total") == 1)
        assert watched.is_ready() == {
            "status": "degraded", "store": "ok", "cache": "ok", "clock": "jumped",
        }  # fmt: skip
        assert {wire.ask("GET", f"/guid/{guid}").status for guid in guids} == {404}
        assert wire.ask("POST", "/guid/" + "E" * 32, record("Bob")).status == 201
        for _ in range(7):
            watched.time_passes(1)
            wire.ask("GET", "/livez")

        clock.advance(-YEAR)
        wait_until(lambda: watched.figure("guidkeep_clock_jumps_total") == 2)
        assert watched.figure("guidkeep_cache_entries") == 0
        assert watched.is_ready()["status"] == "ok"
        assert {wire.ask("GET", f"/guid/{guid}").status for guid in guids} == {200}
        assert watched.figure("guidkeep_swept_records_total") == 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM record").fetchone() == (21,)
