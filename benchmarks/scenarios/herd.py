"""A thousand clients request one cold GUID at the same moment: the number of store queries.

The nodes are stopped (SIGSTOP) while the requests are sent, so all requests have arrived when the
nodes continue, and none is late enough to find the entry of another.
"""

from __future__ import annotations

import signal
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Self

from benchmarks.load import create_one
from benchmarks.results import Figure, Outcome, Row, Target
from benchmarks.servers import mariadb, node, redis
from servers.processes import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

TARGETS = (Target("≤", 1),)

CLIENTS = 1_000
"""Clients of each node."""
HERDS = 10
OK = 200


def run(bench: Bench) -> Outcome:
    """Sends herds to one node, then to two at once, which share MariaDB and Redis."""
    with ExitStack() as stack:
        store = stack.enter_context(mariadb(bench)).fresh()
        cache = f"{stack.enter_context(redis(bench)).url}/1"
        writer = stack.enter_context(node(bench, store, "--cache", "none://"))
        # All connections come from one address, and so does the one that reads the metrics.
        flags = ("--cache", cache, "--max-connections-per-client", "0")
        nodes = [stack.enter_context(node(bench, store, *flags)) for _ in range(2)]
        crowds = [stack.enter_context(_Crowd(server)) for server in nodes]
        one, two = (
            [count for _ in range(HERDS) for count in _queries(writer, asking)]
            for asking in (crowds[:1], crowds)
        )
    return Outcome([_row("one node", one), _row("each of two nodes", two)])


def _queries(writer: Server, crowds: Sequence[_Crowd]) -> list[float]:
    """The store queries of each node when all crowds request one GUID that is not cached."""
    path = f"/guid/{create_one(writer)}"  # bypasses the cache, so that it is cold
    before = [crowd.queries() for crowd in crowds]
    for crowd in crowds:
        crowd.server.process.signal(signal.SIGSTOP)
    for crowd in crowds:
        crowd.ask(path)
    for crowd in crowds:
        crowd.server.process.signal(signal.SIGCONT)
    for crowd in crowds:
        crowd.take_answers()
    found = [crowd.queries() - asked for crowd, asked in zip(crowds, before, strict=True)]
    if not sum(found):
        raise Failed("there was no store query: the GUID was in a cache")
    return found


class _Crowd:
    """Connections to one node that stay open."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._connections = [
            HTTPConnection("127.0.0.1", server.port, timeout=30) for _ in range(CLIENTS)
        ]

    def __enter__(self) -> Self:
        """Opens the connections and has them accepted."""
        self.ask("/livez")
        self.take_answers()
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()

    def ask(self, path: str) -> None:
        """Sends a request on each."""
        for connection in self._connections:
            connection.request("GET", path)

    def take_answers(self) -> None:
        """Waits for each response; fails unless all are 200."""
        for connection in self._connections:
            answer = connection.getresponse()
            answer.read()
            if answer.status != OK:
                raise Failed(f"a request of a herd got {answer.status}")

    def queries(self) -> float:
        """The number of reads that the node has sent to its store."""
        return self.server.counted("guidkeep_store_seconds_count", "operation", "get")


def _row(whom: str, counts: Sequence[float]) -> Row:
    return Row(
        what=f"Store queries when {CLIENTS:,} clients request one cold GUID at once, {whom}",
        figure=Figure([max(counts)]),
        targets=TARGETS,
        note=f"the maximum of {HERDS} herds, Redis and MariaDB behind",
    )
