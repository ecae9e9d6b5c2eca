"""Where the server's time goes under one load, to explain a figure below its target.

py-spy samples the process from outside some hundred times a second, so the server runs unchanged.
It shows Python's functions on every thread; time in SQLite, uvloop and the kernel counts for the
function that called them. A second table shows how busy each thread was, in Python or not, and how
busy the databases behind the server were.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.databases import filled
from benchmarks.load import create, read_random, warm
from benchmarks.servers import guidkeep, mariadb, node, postgres, redis, reference
from servers.processes import Failed, Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.servers import Server
    from servers.mysql import MariaDB
    from servers.postgresql import PostgreSQL

LOADS = (
    "hit",
    "cold",
    "create",
    "redis-hit",
    "mariadb-create",
    "postgresql-create",
    "reference-create",
)
SAMPLES_A_SECOND = 250
SHOWN = 30


@dataclass(slots=True)
class _Case:
    """A server under a load.

    Attributes:
        server: the server to profile.
        put_on_load: runs the load once.
        behind: the processes of its databases.
    """

    server: Server
    put_on_load: Callable[[], object]
    behind: list[Running] = field(default_factory=list)


def profile(bench: Bench, load: str) -> str:
    """Runs the load once; returns tables of functions, threads and servers."""
    spy = _spy()
    output = bench.folder / "stacks"
    with ExitStack() as stack:
        case = _case(bench, stack, load)
        pid = case.server.process.pid
        working = threading.Thread(target=case.put_on_load)
        before, began = _busy(pid), time.monotonic()
        behind = [_seconds(process) for process in case.behind]
        working.start()
        how = ["--format", "raw", "--threads", "--function", "--nonblocking"]
        lasting = ["--rate", str(SAMPLES_A_SECOND), "--duration", str(bench.plan.seconds)]
        done = subprocess.run(
            [spy, "record", *how, *lasting, "--pid", str(pid), "--output", str(output)],
            capture_output=True,
            text=True,
            check=False,
        )
        working.join()
        after, took = _busy(pid), time.monotonic() - began
        shares = [
            f"{(_seconds(process) - spent) / took:17.1%}  {process.name}"
            for process, spent in zip(case.behind, behind, strict=True)
        ]
    if done.returncode:
        raise Failed(f"py-spy: {done.stderr.strip()}")
    stacks = output.read_text()
    threads = _threads(_names(stacks), before, after, took)
    return "\n".join([_functions(stacks), "", threads, *shares])


def _case(bench: Bench, stack: ExitStack, load: str) -> _Case:
    """The server for that load, and the function that runs the load."""
    if load in ("mariadb-create", "postgresql-create", "reference-create"):
        return _before_an_engine(bench, stack, load)
    database = filled(bench, bench.plan.records)
    caches = {"cold": "none://", "hit": "memory://", "create": "memory://"}
    behind = []
    if load == "redis-hit":
        cache = stack.enter_context(redis(bench))
        caches[load] = f"{cache.url}/1"
        behind.append(cache.process)
    file = database.copy(bench.folder).file
    server = stack.enter_context(guidkeep(bench, file, "--cache", caches[load]))
    if load == "create":
        return _Case(server, lambda: create(bench, server))
    if load != "cold":
        warm(bench, server, database.guids)
    return _Case(server, lambda: read_random(bench, server, database.guids), behind)


def _before_an_engine(bench: Bench, stack: ExitStack, load: str) -> _Case:
    """Creates on a database server, with Redis as the cache."""
    cache = stack.enter_context(redis(bench))
    url = f"{cache.url}/1"
    engine: MariaDB | PostgreSQL
    if load == "postgresql-create":
        engine = stack.enter_context(postgres(bench))
    else:
        engine = stack.enter_context(mariadb(bench))
    if load == "reference-create":
        server = stack.enter_context(reference(bench, engine.fresh(), url))
    else:
        server = stack.enter_context(node(bench, engine.fresh(), "--cache", url))
    create(bench, server)  # opens connections and fills the table
    return _Case(server, lambda: create(bench, server), [engine.process, cache.process])


def _functions(stacks: str) -> str:
    """Shares of all samples: in the function itself, and in it with the functions it called."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, times = line.rpartition(" ")
        _, *frames = stack.split(";")
        if not frames:
            continue  # a thread outside Python
        own[frames[-1]] += int(times)
        for frame in set(frames):
            whole[frame] += int(times)
    total = sum(own.values()) or 1
    lines = [f"{'itself':>8} {'with all':>9}  function"]
    for frame, number in own.most_common(SHOWN):
        lines.append(f"{number / total:8.1%} {whole[frame] / total:9.1%}  {frame}")
    return "\n".join(lines)


def _names(stacks: str) -> dict[int, str]:
    """The threads' names by their ids, from the first frame of every stack."""
    return {int(number): name for number, name in re.findall(r"thread \((\d+)\): ([^;]*)", stacks)}


def _busy(pid: int) -> dict[int, tuple[float, float]]:
    """Seconds that each thread has spent in its own code and in the kernel."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        fields = (thread / "stat").read_text().rpartition(")")[2].split()
        user, kernel = (int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in fields[11:13])
        found[int(thread.name)] = (user, kernel)
    return found


def _seconds(process: Running) -> float:
    """Seconds that it and its children have spent so far, in their own code and in the kernel."""
    pids = (process.pid, *process.descendants())
    return sum(sum(both) for pid in pids for both in _busy(pid).values())


def _threads(
    names: dict[int, str],
    before: dict[int, tuple[float, float]],
    after: dict[int, tuple[float, float]],
    took: float,
) -> str:
    lines = [f"{'own code':>9} {'kernel':>7}  thread, share of the {took:.1f} s"]
    for number, (user, kernel) in after.items():
        user_before, kernel_before = before.get(number, (0.0, 0.0))
        lines.append(
            f"{(user - user_before) / took:9.1%} {(kernel - kernel_before) / took:7.1%}"
            f"  {names.get(number, 'another')}"
        )
    return "\n".join(lines)


def _spy() -> str:
    """The path of py-spy, in this environment or on the machine."""
    name = "py-spy"
    for folder in (Path(sys.executable).parent, *map(Path, os.get_exec_path())):
        if (folder / name).exists():
            return str(folder / name)
    raise Failed("py-spy is missing: uv tool install py-spy")
