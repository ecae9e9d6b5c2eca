"""What somebody else feels meanwhile: a paced GET of one record, and `/livez` on new connections.

`python -m benchmarks.scenarios.hostile.bystander PORT GUID OUTPUT` is the process. A request is due
every 10 ms, and its latency counts from when it was due, so that a server that stops for a while
has every request against it that was due in that while. It ends at SIGTERM and writes what it felt
as JSON.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

from servers.processes import Failed, Running

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

HOST = "127.0.0.1"
INTERVAL = 0.01
LIVEZ_INTERVAL = 0.25
LIVEZ_PATIENCE = 2.0
"""Seconds; an orchestrator's probe gives up after one or three."""
PATIENCE = 15.0
OK = "200"
NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Felt:
    """What it felt.

    Attributes:
        p99: milliseconds that 99 of 100 of its requests stayed within.
        worst: milliseconds of the longest.
        answers: how many of its GETs had each status.
        livez: how many of its probes had each status.
    """

    p99: float
    worst: float
    answers: Mapping[str, int]
    livez: Mapping[str, int]

    def __str__(self) -> str:
        parts = [f"p99 {_milliseconds(self.p99)}, the longest {_milliseconds(self.worst)}"]
        for what, statuses in (("GETs", self.answers), ("`/livez`", self.livez)):
            failed = {status: count for status, count in statuses.items() if status != OK}
            if failed:
                listed = ", ".join(f"{status} ({count})" for status, count in failed.items())
                parts.append(f"of {sum(statuses.values())} {what} {listed}")
        return "; ".join(parts)


class Bystander:
    """It as a process, on the load's core; asks until it is stopped."""

    def __init__(self, bench: Bench, server: Server, guid: str) -> None:
        self._output = bench.subfolder("bystander") / "felt.json"
        self._process = Running(
            [sys.executable, "-m", __name__, str(server.port), guid, str(self._output)],
            core=bench.load_core,
            folder=bench.folder,
        )
        self._process.wait_for(lambda: self._output.exists() or None, "beginning")

    def stop(self) -> Felt:
        """Ends it; what it felt since it began."""
        self._process.stop()
        text = self._output.read_text()
        if not text:
            raise Failed(f"the bystander: {self._process.last_words()}")
        return Felt(**json.loads(text))


class _Asking:
    """The process itself."""

    def __init__(self, port: int, guid: str) -> None:
        self._port = port
        self._path = f"/guid/{guid}"
        self._connection = HTTPConnection(HOST, port, timeout=PATIENCE)
        self._latencies: list[float] = []
        self._answers: Counter[str] = Counter()
        self._livez: Counter[str] = Counter()

    def run(self) -> None:
        """Until SIGTERM, which raises SystemExit, also in the middle of a wait."""
        threading.Thread(target=self._probe, daemon=True).start()
        due = time.monotonic()
        try:
            while True:
                time.sleep(max(0.0, due - time.monotonic()))
                self._answers[self._ask()] += 1
                self._latencies.append(time.monotonic() - due)
                due += INTERVAL
        finally:
            self._latencies.append(max(0.0, time.monotonic() - due))

    def felt(self) -> str:
        """As JSON."""
        return json.dumps(
            {
                "p99": 1000 * quantiles(self._latencies, n=100)[98],
                "worst": 1000 * max(self._latencies),
                "answers": self._answers,
                "livez": self._livez,
            }
        )

    def _ask(self) -> str:
        try:
            self._connection.request("GET", self._path)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            self._connection.close()
            return NONE
        return str(answer.status)

    def _probe(self) -> None:
        while True:
            connection = HTTPConnection(HOST, self._port, timeout=LIVEZ_PATIENCE)
            status = NONE
            with suppress(OSError, HTTPException):
                connection.request("GET", "/livez")
                status = str(connection.getresponse().status)
            connection.close()
            self._livez[status] += 1
            time.sleep(LIVEZ_INTERVAL)


def _milliseconds(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"  # noqa: PLR2004 - digits


def main(port: str, guid: str, output: str) -> None:
    """See the module's text."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    asking = _Asking(int(port), guid)
    file = Path(output)
    file.touch()
    try:
        asking.run()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        file.write_text(asking.felt())


if __name__ == "__main__":
    main(*sys.argv[1:])
