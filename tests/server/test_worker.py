"""A worker from the inside, run in a thread of this process: its start, its end, its messages."""

from __future__ import annotations

import json
import os
import pickle
import socket
import sqlite3
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.server import worker
from guidkeep.server.supervisor import Job
from guidkeep.settings import Settings
from tests.server.test_start import unchanged_process
from tests.server.wire import wired

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["unchanged_process"]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux"),
    pytest.mark.processes,
]


def chosen(url: str, **settings: Any) -> Settings:
    """One worker: so the store may be an SQLite file."""
    return Settings(**{"port": 0, "store": url, "drain_timeout": 5.0, **settings})


class Hired:
    """A worker that runs in a thread until `dismiss`."""

    def __init__(self, settings: Settings, *, number: int = 0) -> None:
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        job = Job(
            settings=settings,
            number=number,
            descriptor=os.dup(self.listener.fileno()),
            names=tuple(f"\0guidkeep-test-{os.getpid()}-{id(self)}-{at}" for at in range(2)),
        )
        reading, self._writing = os.pipe()
        self._orders = os.fdopen(reading, "rb")
        os.write(self._writing, pickle.dumps(job))
        hearing, saying = os.pipe()
        self.heard = os.fdopen(hearing, "rb")
        self._saying = os.fdopen(saying, "wb")
        self.codes: list[int] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.codes.append(worker.main(self._orders, self._saying))

    def hear(self) -> dict[str, str]:
        """The worker's message."""
        answer: dict[str, str] = json.loads(self.heard.readline())
        return answer

    def dismiss(self) -> None:
        """Closes its input, as the end of its supervisor does."""
        os.close(self._writing)

    def gone(self) -> int:
        """Waits for it; its exit code."""
        self._thread.join(timeout=30)
        for file in (self._orders, self._saying, self.heard):
            file.close()
        self.listener.close()
        [code] = self.codes
        return code


@pytest.mark.parametrize("number", [0, 1])
def test_a_worker_drains_when_its_supervisor_is_gone(
    unchanged_process: None, url: str, number: int
) -> None:
    hired = Hired(chosen(url), number=number)
    address = hired.hear()["address"]
    with wired(address) as wire:
        assert wire.ask("GET", "/livez").status == 200
        hired.dismiss()
        assert wire.is_closed()
    assert hired.gone() == 0


def test_a_worker_whose_supervisor_is_gone_does_not_go_on_starting(
    unchanged_process: None, url: str, tmp_path: Path
) -> None:
    """Another program blocks the store."""
    with closing(sqlite3.connect(tmp_path / "guidkeep.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        hired = Hired(chosen(url))
        hired.dismiss()
        assert hired.heard.read(0) == b""
        other.execute("ROLLBACK")
    assert hired.gone() == 0


def test_a_worker_says_why_it_can_not_start(
    unchanged_process: None, url: str, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text("{")
    hired = Hired(chosen(url, metadata_schema=schema))
    assert "is not JSON" in hired.hear()["error"]
    hired.dismiss()
    assert hired.gone() == 1
