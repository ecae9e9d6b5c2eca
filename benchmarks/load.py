"""wrk: as much load as the generator's core can produce. `wrk.lua` makes its requests."""

from __future__ import annotations

import json
import random
import subprocess
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

from servers.processes import Failed, pinned

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.databases import Guids
    from benchmarks.servers import Server

SCRIPT = Path(__file__).with_name("wrk.lua")
CONNECTIONS = 64
WARMING_SECONDS = 600
"""The time limit for reading every record once."""
BODY = '{"user": "Cylance, Inc."}'
CREATED = 201


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one run of wrk.

    Attributes:
        requests: the number of responses.
        rate: responses a second.
        p99: the 99th percentile of the latency, in seconds.
    """

    requests: int
    rate: float
    p99: float


def create_one(server: Server) -> str:
    """Creates a record; returns its GUID."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.request("POST", "/guid", BODY)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != CREATED:
            raise Failed(f"POST /guid got {answer.status}")
        guid: str = json.loads(body)["guid"]
        return guid


def read_random(bench: Bench, server: Server, guids: Guids, *, seconds: int | None = None) -> Load:
    """GET of random records, over and over."""
    seed = str(random.randrange(2**31))
    what = ("random", str(guids.file), server.path, seed)
    return _load(_wrk(bench, server, *what, seconds=seconds))


def read_once(bench: Bench, server: Server, guids: Guids, *, first: int) -> Load:
    """GET of each record once, from number `first` on; there must be more than it can read."""
    return _load(_wrk(bench, server, "once", str(guids.file), server.path, str(first)))


def warm(bench: Bench, server: Server, guids: Guids) -> None:
    """GET of each record once, so that a cache that is large enough holds all."""
    _wrk(bench, server, "once", str(guids.file), server.path, "0", seconds=WARMING_SECONDS)


def read_hits(bench: Bench, server: Server, guids: Guids) -> Load:
    """GET of random records that are all in the cache.

    It is filled before each measurement, because entries live for a minute by default.
    """
    warm(bench, server, guids)
    misses = server.metric("guidkeep_cache_misses_total")
    load = read_random(bench, server, guids)
    misses = server.metric("guidkeep_cache_misses_total") - misses
    if misses:
        bench.say(f"{misses:,.0f} of {load.requests:,} reads missed the cache")
    return load


def create(bench: Bench, server: Server, *, connections: int = CONNECTIONS) -> Load:
    """POST of new records."""
    return _load(_wrk(bench, server, "create", BODY, connections=connections))


def set_keys(bench: Bench, server: Server, *, connections: int = CONNECTIONS) -> Load:
    """SET of random keys through Webdis."""
    seed = str(random.randrange(2**31))
    return _load(_wrk(bench, server, "set", BODY, seed, connections=connections))


def _wrk(
    bench: Bench,
    server: Server,
    *request: str,
    connections: int = CONNECTIONS,
    seconds: int | None = None,
) -> str:
    """Runs wrk and returns the last line of its output."""
    lasting = seconds or bench.plan.seconds
    how = ["-t1", f"-c{connections}", f"-d{lasting}s", "--timeout", "10s", "-s", str(SCRIPT)]
    command = [bench.program("wrk"), *how, f"http://127.0.0.1:{server.port}", "--", *request]
    done = subprocess.run(
        pinned(bench.load_core, command), capture_output=True, text=True, check=False
    )
    last = done.stdout.strip().rpartition("\n")[2]
    if done.returncode:
        raise Failed(f"wrk: {done.stderr.strip() or last}")
    return last


def _load(line: str) -> Load:
    if not line.startswith("{"):
        raise Failed("wrk ended early: it had read every record")
    found = json.loads(line)
    if found["refused"] or found["broken"]:
        raise Failed(
            f"of {found['requests']} requests {found['refused']} got neither 2xx nor "
            f"3xx, {found['broken']} no response"
        )
    return Load(
        requests=found["requests"],
        rate=found["requests"] / found["microseconds"] * 1e6,
        p99=found["p99"] / 1e6,
    )
