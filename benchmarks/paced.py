"""Requests at a fixed rate, each with its latency.

wrk sends the next request after the last response, so a server that pauses gets fewer requests
during the pause, and the pause counts little in the percentiles. Here requests are due at fixed
times, and latency counts from the time a request was due, not from the time it was sent. This
avoids what is known as coordinated omission.

`python -m benchmarks.paced PORT RATE GUIDS OUTPUT` is the sender. It spins on a core of its own
instead of sleeping, because timers are coarser than the latencies. It ends at SIGTERM and then
writes pairs of doubles, both in seconds: the time a request was due, on the clock
`time.monotonic`, and the time from then to its response.
"""

from __future__ import annotations

import gc
import random
import re
import selectors
import signal
import socket
import sys
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

from servers.processes import Failed, Running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench
    from benchmarks.databases import Guids
    from benchmarks.servers import Server

CONNECTIONS = 32
_length = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE).search


class Paced:
    """The sender, in a separate process.

    Args:
        bench: the run.
        server: gets the requests.
        guids: the records to read, at random.
        rate: requests a second.
    """

    def __init__(self, bench: Bench, server: Server, guids: Guids, rate: int) -> None:
        self._output = bench.subfolder("paced") / "latencies"
        what = [str(server.port), str(rate), str(guids.file), str(self._output)]
        self._process = Running(
            [sys.executable, "-m", "benchmarks.paced", *what],
            core=bench.load_core,
            folder=bench.folder,
        )

    def stop(self) -> Sequence[tuple[float, float]]:
        """Ends it; returns for each request the time it was due and its latency, in seconds."""
        self._process.stop()
        if not self._output.exists():
            raise Failed(f"the sender of paced requests: {self._process.last_words()}")
        flat = array("d", self._output.read_bytes())
        return list(zip(flat[::2], flat[1::2], strict=True))


class _Sender:
    """Sends requests when they are due, and receives responses.

    If every connection is waiting for a response when a request is due, it is sent later; its
    latency still counts from the time it was due.
    """

    def __init__(self, port: int, rate: int, requests: Sequence[bytes]) -> None:
        self.found = array("d")
        self._interval = 1 / rate
        self._requests = requests
        self._selector = selectors.DefaultSelector()
        self._idle = [self._connect(port) for _ in range(CONNECTIONS)]
        self._due: dict[socket.socket, float] = {}
        self._received: dict[socket.socket, bytes] = {}

    def run(self) -> None:
        """Runs until SIGTERM."""
        going = True

        def stop(*_: object) -> None:
            nonlocal going
            going = False

        signal.signal(signal.SIGTERM, stop)
        due = time.monotonic()
        while going:
            while self._idle and due <= time.monotonic():
                self._send(due)
                due += self._interval
            for key, _ in self._selector.select(0):
                self._receive(key.data)

    def _connect(self, port: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ, connection)
        return connection

    def _send(self, due: float) -> None:
        connection = self._idle.pop()
        self._due[connection] = due
        self._received[connection] = b""
        connection.sendall(random.choice(self._requests))

    def _receive(self, connection: socket.socket) -> None:
        part = connection.recv(65_536)
        if not part:
            raise Failed("the server closed a connection")
        answer = self._received[connection] + part
        self._received[connection] = answer
        if not _is_whole(answer):
            return
        due = self._due[connection]
        self.found.extend((due, time.monotonic() - due))
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise Failed(f"the server's response was {answer[:60]!r}")
        self._idle.append(connection)


def _is_whole(answer: bytes) -> bool:
    head = answer.find(b"\r\n\r\n")
    length = _length(answer, 0, head + 2) if head >= 0 else None
    return length is not None and len(answer) >= head + 4 + int(length[1])


def main(port: str, rate: str, guids: str, output: str) -> None:
    """See the module's text."""
    requests = [
        f"GET /guid/{guid} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        for guid in Path(guids).read_text().split()
    ]
    sender = _Sender(int(port), int(rate), requests)
    gc.disable()  # its pauses would count as the server's
    sender.run()
    Path(output).write_bytes(sender.found.tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
