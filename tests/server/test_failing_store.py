"""A store that fails while the server runs: 503, nothing lost, and it works again afterwards."""

from __future__ import annotations

import resource
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.server.processes import serving
from tests.server.wire import Wire, record, wired
from tests.support import Clock, served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.wire import Answer


def write_some(wire: Wire, count: int) -> dict[str, str]:
    """Creates records; returns the user of each GUID."""
    users = [f"user {number} " + "x" * 200 for number in range(count)]
    answers = [wire.ask("POST", "/guid", record(user)) for user in users]
    assert {answer.status for answer in answers} == {201}
    return {answer.json["guid"]: user for answer, user in zip(answers, users, strict=True)}


def read_all(wire: Wire) -> dict[str, str]:
    return {
        item["guid"]: item["user"] for item in wire.ask("GET", "/guid?limit=1000").json["guids"]
    }


def is_clear(answer: Answer) -> bool:
    """Checks for a 503 with the outcome of the write, and the time after which to try again."""
    assert answer.is_problem(503)
    assert answer.headers["retry-after"] == "1"
    assert "request_id" in answer.json
    detail = answer.json["detail"]
    assert "unknown" in detail or "nothing was" in detail
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process")
def test_a_disk_that_is_full_is_503_and_when_there_is_room_again_all_works(tmp_path: Path) -> None:
    store = tmp_path / "guidkeep.db"
    with serving(store) as server, wired(server.address) as wire:
        kept = write_some(wire, 200)
        size = store.with_name("guidkeep.db-wal").stat().st_size
        limits = resource.prlimit(
            server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY)
        )
        for _ in range(20):
            assert is_clear(wire.ask("POST", "/guid", record()))
        some = next(iter(kept))
        for method in ("PATCH", "PUT", "DELETE"):
            body = None if method == "DELETE" else record("changed")
            assert is_clear(wire.ask(method, f"/guid/{some}", body))
        assert read_all(wire) == kept
        assert wire.ask("GET", "/livez").status == 200
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
        kept |= write_some(wire, 20)
        assert wire.ask("PATCH", f"/guid/{some}", record("changed")).status == 200
        kept[some] = "changed"
        assert read_all(wire) == kept
        server.kill()
    with serving(store) as server, wired(server.address) as wire:
        assert read_all(wire) == kept


def test_a_database_that_another_program_holds_is_503_in_time(url: str, tmp_path: Path) -> None:
    with (
        served(store=url, store_timeout=0.2) as server,
        wired(server.address) as wire,
        closing(sqlite3.connect(tmp_path / "guidkeep.db", isolation_level=None)) as other,
    ):
        kept = write_some(wire, 3)
        other.execute("BEGIN IMMEDIATE")
        answer = wire.ask("POST", "/guid", record())
        assert is_clear(answer)
        assert "nothing was written" in answer.json["detail"]
        assert read_all(wire) == kept
        assert wire.ask("GET", "/readyz").status == 200
        other.execute("ROLLBACK")
        kept |= write_some(wire, 1)
        assert read_all(wire) == kept


def test_a_server_whose_store_can_not_be_read_is_not_ready(url: str, tmp_path: Path) -> None:
    with (
        served(store=url) as server,
        wired(server.address) as wire,
        closing(sqlite3.connect(tmp_path / "guidkeep.db", isolation_level=None)) as other,
    ):
        other.execute("ALTER TABLE record RENAME TO hidden")
        assert wire.ask("GET", "/readyz").is_problem(503)
        assert wire.ask("GET", "/livez").status == 200
        other.execute("ALTER TABLE hidden RENAME TO record")
        assert wire.ask("GET", "/readyz").status == 200


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        [count] = connection.execute("SELECT count(*) FROM record").fetchone()
        return int(count)


def _a_second_later(clock: Clock, wire: Wire) -> bytes:
    """The metrics then; the sweep needs time to see that the clock is steady."""
    clock.advance(1)
    return wire.ask("GET", "/metrics").body


def test_the_sweep_reclaims_in_batches_and_goes_on_after_a_failure(
    url: str, tmp_path: Path
) -> None:
    clock = Clock()
    path = tmp_path / "guidkeep.db"
    with (
        served(
            clock,
            store=url,
            sweep_interval=0.02,
            sweep_batch=3,
            sweep_margin=1.0,
            store_timeout=0.2,
        ) as server,
        wired(server.address) as wire,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        write_some(wire, 10)
        other.execute("BEGIN IMMEDIATE")
        clock.advance(31 * 86_400)
        failed = b'guidkeep_store_seconds_count{operation="purge",outcome="failed"}'
        assert any(failed in _a_second_later(clock, wire) for _ in range(5000))
        other.execute("ROLLBACK")
        swept = b"\nguidkeep_swept_records_total 10.0\n"
        assert any(swept in _a_second_later(clock, wire) for _ in range(5000))
        assert rows(path) == 0
