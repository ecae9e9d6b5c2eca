"""The effect on another client: GETs of one record, and a few PUTs and `/livez`.

`python -m benchmarks.scenarios.hostile.bystander PORT GUID OUTPUT` is the process. A GET is due
every 10 ms, and its latency counts from the time it was due, so that every request that was due
during a pause of the server counts. It ends at SIGTERM and writes its results as JSON.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
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

from benchmarks.load import BODY
from servers.processes import Failed, Running

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

HOST = "127.0.0.1"
INTERVAL = 0.01
CONNECTIONS = 64
PROBE_INTERVAL = 0.25
PROBE_PATIENCE = 2.0
"""Seconds; an orchestrator's probe gives up after one or three."""
WELL = ("200", "201")
NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Felt:
    """Its results.

    Attributes:
        p99: the 99th percentile of the latency, in milliseconds.
        worst: the longest latency, in milliseconds.
        answers: the number of its GETs by status.
        writes: the number of its PUTs by status.
        livez: the number of its probes by status.
    """

    p99: float
    worst: float
    answers: Mapping[str, int]
    writes: Mapping[str, int]
    livez: Mapping[str, int]

    def __str__(self) -> str:
        parts = [f"p99 {_milliseconds(self.p99)}, the longest {_milliseconds(self.worst)}"]
        asked = {"GETs": self.answers, "PUTs": self.writes, "`/livez`": self.livez}
        for what, statuses in asked.items():
            failed = {status: count for status, count in statuses.items() if status not in WELL}
            if failed:
                listed = ", ".join(f"{status} ({count})" for status, count in failed.items())
                parts.append(f"of {sum(statuses.values())} {what} {listed}")
        return "; ".join(parts)


class Bystander:
    """The bystander as a process on the load's core; runs until it is stopped."""

    def __init__(self, bench: Bench, server: Server, guid: str) -> None:
        self._output = bench.subfolder("bystander") / "felt.json"
        self._process = Running(
            [sys.executable, "-m", __name__, str(server.port), guid, str(self._output)],
            core=bench.load_core,
            folder=bench.folder,
        )
        self._process.wait_for(lambda: self._output.exists() or None, "beginning")

    def stop(self) -> Felt:
        """Ends it; returns its results."""
        self._process.stop()
        text = self._output.read_text()
        if not text:
            raise Failed(f"the bystander: {self._process.last_words()}")
        return Felt(**json.loads(text))


class _Asking:
    """The process itself.

    If every connection is waiting for a response when a request is due, it is sent later; its
    latency still counts from the time it was due.
    """

    def __init__(self, port: int, guid: str) -> None:
        self._port = port
        self._request = f"GET /guid/{guid} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self._selector = selectors.DefaultSelector()
        self._idle = [self._connect() for _ in range(CONNECTIONS)]
        self._due: dict[socket.socket, float] = {}
        self._latencies: list[float] = []
        self._answers: Counter[str] = Counter()
        self._livez: Counter[str] = Counter()
        self._writes: Counter[str] = Counter()

    def run(self) -> None:
        """Runs until SIGTERM, which raises SystemExit."""
        for what in (("GET", "/livez", None), ("PUT", f"/guid/{2:032X}", BODY)):
            threading.Thread(target=self._probe, args=what, daemon=True).start()
        due = time.monotonic()
        try:
            while True:
                while self._idle and due <= time.monotonic():
                    self._send(due)
                    due += INTERVAL
                pause = max(0.0, due - time.monotonic()) if self._idle else INTERVAL
                for key, _ in self._selector.select(pause):
                    self._receive(key.data)
        finally:
            now = time.monotonic()
            self._latencies += [now - waiting for waiting in self._due.values()]
            while due < now:  # requests that had no free connection
                self._latencies.append(now - due)
                due += INTERVAL

    def felt(self) -> str:
        """The results as JSON."""
        return json.dumps(
            {
                "p99": 1000 * quantiles(self._latencies, n=100)[98],
                "worst": 1000 * max(self._latencies),
                "answers": self._answers,
                "writes": self._writes,
                "livez": self._livez,
            }
        )

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((HOST, self._port))
        self._selector.register(connection, selectors.EVENT_READ, connection)
        return connection

    def _send(self, due: float) -> None:
        connection = self._idle.pop()
        self._due[connection] = due
        with suppress(OSError):  # it is closed; the next read notices
            connection.sendall(self._request)

    def _receive(self, connection: socket.socket) -> None:
        """Receives a response, which is so short that it arrives in one piece."""
        try:
            answer = connection.recv(65_536)
        except OSError:
            answer = b""
        due = self._due.pop(connection, None)
        if due is not None:
            self._latencies.append(time.monotonic() - due)
            self._answers[answer[9:12].decode() or NONE] += 1
        if answer.startswith(b"HTTP/1.1 200"):
            self._idle.append(connection)
            return
        if due is None:
            self._idle.remove(connection)
        self._selector.unregister(connection)
        connection.close()
        self._idle.append(self._connect())

    def _probe(self, method: str, path: str, body: str | None) -> None:
        """Sends requests on new connections, four times a second."""
        counts = self._livez if body is None else self._writes
        while True:
            connection = HTTPConnection(HOST, self._port, timeout=PROBE_PATIENCE)
            status = NONE
            with suppress(OSError, HTTPException):
                connection.request(method, path, body)
                status = str(connection.getresponse().status)
            connection.close()
            counts[status] += 1
            time.sleep(PROBE_INTERVAL)


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
