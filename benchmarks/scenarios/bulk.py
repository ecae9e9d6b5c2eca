"""Many records in one request, and all of them in one response.

The rate is compared with that of single creates, by one client and by many. Then a file is imported
and exported again, and compared by its hash, while the memory of the server is watched.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING

from benchmarks.load import CONNECTIONS, create
from benchmarks.results import Figure, Outcome, Row, Target, ratios
from benchmarks.servers import guidkeep
from servers.processes import Failed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

ONE = "creates one by one"
MANY = f"creates by {CONNECTIONS} clients"
HALF = "that up to half-way"
FASTER = (Target("≥", 3, ONE),)
EQUAL = (Target("≥", 1),)
FLAT = (Target("≤", 1.1, HALF),)

SHARE = 10
"""Each measurement imports this part of the file."""
EXPIRE = 4_102_444_800
PIECE = 1 << 18


def run(bench: Bench) -> Outcome:
    """The rates, then the file in and out."""
    file = bench.folder / "bulk.ndjson"
    _write(file, bench.plan.imported)
    return Outcome([_rate(bench), *_in_and_out(bench, file)])


def _rate(bench: Bench) -> Row:
    count = bench.plan.imported // SHARE
    lines = bench.folder / "lines.ndjson"
    lines.write_text('{"user": "Cylance, Inc."}\n' * count)
    with guidkeep(bench, bench.subfolder("bulk") / "guidkeep.db") as server:
        found = bench.rounds(
            {
                "bulk": lambda: _import(bench, server, lines, count),
                ONE: lambda: create(bench, server, connections=1).rate,
                MANY: lambda: create(bench, server).rate,
            }
        )
    return Row(
        what="Durable create by `POST /bulk`",
        figure=Figure(found["bulk"], "/s"),
        ratios=ratios(found["bulk"], {name: found[name] for name in (ONE, MANY)}),
        targets=FASTER,
    )


def _in_and_out(bench: Bench, file: Path) -> Iterator[Row]:
    """Without the cache, which would grow."""
    count = bench.plan.imported
    database = bench.subfolder("bulk") / "guidkeep.db"
    with guidkeep(bench, database, "--cache", "none://") as server:
        bench.say(f"{count:,} records in")
        with _watched(server) as while_in:
            rate = _import(bench, server, file, count)
        bench.say("and out")
        began = time.monotonic()
        with _watched(server) as while_out:
            digest = _digest_of_export(bench, server)
        took = time.monotonic() - began
    yield Row(
        what=f"{count:,} records in by `/bulk` and out by `/export`, equal to the byte",
        figure=Figure([float(digest == _digest_of(file))]),
        targets=EQUAL,
        note=f"in at {rate:,.0f}/s, out at {count / took:,.0f}/s; 1 means equal",
    )
    for way, sizes in (("in", while_in), ("out", while_out)):
        half = max(sizes[: len(sizes) // 2])
        yield Row(
            what=f"Memory of the server while they go {way}, the most",
            figure=Figure([max(sizes) / 2**20], " MiB"),
            ratios=ratios([max(sizes)], {HALF: [half]}),
            targets=FLAT,
            note=f"up to half-way {half / 2**20:,.0f} MiB",
        )


def _write(file: Path, count: int) -> None:
    """Writes records in the form of responses, in the order of their GUIDs."""
    guids = sorted({f"{random.getrandbits(128):032X}" for _ in range(count)})
    with file.open("w") as lines:
        for number, guid in enumerate(guids):
            user = f"Customer {number % 5000:04}, Inc."
            lines.write(f'{{"guid":"{guid}","expire":"{EXPIRE}","user":"{user}","n":{number}}}\n')


def _import(bench: Bench, server: Server, file: Path, count: int) -> float:
    """Sends the file while it reads the responses; returns records a second."""
    began = time.monotonic()
    with (
        _on_the_load_core(bench),
        closing(_connected(server)) as connection,
        file.open("rb") as lines,
    ):
        connection.putrequest("POST", "/bulk")
        connection.putheader("Content-Length", str(file.stat().st_size))
        connection.endheaders()
        sending = threading.Thread(target=connection.sock.sendfile, args=(lines,))
        sending.start()
        answers = connection.getresponse()
        done = sum(b'"status": 201' in line for line in answers)
        sending.join()
    if done != count:
        raise Failed(f"of {count} lines only {done} were created")
    return count / (time.monotonic() - began)


def _digest_of_export(bench: Bench, server: Server) -> str:
    digest = hashlib.sha256()
    with _on_the_load_core(bench), closing(_connected(server)) as connection:
        connection.request("GET", "/export")
        answer = connection.getresponse()
        while piece := answer.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _digest_of(file: Path) -> str:
    with file.open("rb") as lines:
        return hashlib.file_digest(lines, "sha256").hexdigest()


def _connected(server: Server) -> HTTPConnection:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.connect()
    return connection


@contextmanager
def _watched(server: Server) -> Iterator[list[int]]:
    """Collects the server's memory, a hundred times a second."""
    sizes: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            sizes.append(server.process.resident_bytes())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield sizes
    finally:
        over.set()
        watching.join()


@contextmanager
def _on_the_load_core(bench: Bench) -> Iterator[None]:
    """Keeps this process and its threads off the server's core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {bench.load_core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
