"""Where the server's time goes under one load, for when a figure falls short.

py-spy looks at the process from outside some hundred times a second, so the server runs as it
is. It shows Python's functions on every thread; what SQLite, uvloop and the kernel do counts
for the function that called them. Beside it stands how busy each thread was, in Python or out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.databases import filled
from benchmarks.load import create, read_random, warm
from benchmarks.servers import guidkeep
from servers.processes import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench
    from benchmarks.databases import Database
    from benchmarks.servers import Server

LOADS = ("hit", "cold", "create")
SAMPLES_A_SECOND = 250
SHOWN = 30


def profile(bench: Bench, load: str) -> str:
    """Runs that load for one turn; gives a table of functions and one of threads."""
    spy = _spy()
    output = bench.folder / "stacks"
    with _serving(bench, load) as (server, put_on_load):
        pid = server.process.pid
        working = threading.Thread(target=put_on_load)
        before, began = _busy(pid), time.monotonic()
        working.start()
        how = [
            "--format",
            "raw",
            "--threads",
            "--function",
            "--nonblocking",
            "--rate",
            str(SAMPLES_A_SECOND),
        ]
        duration = ["--duration", str(bench.plan.seconds)]
        done = subprocess.run(
            [spy, "record", *how, *duration, "--pid", str(pid), "--output", str(output)],
            capture_output=True,
            text=True,
            check=False,
        )
        working.join()
        after, took = _busy(pid), time.monotonic() - began
    if done.returncode:
        raise Failed(f"py-spy: {done.stderr.strip()}")
    stacks = output.read_text()
    return f"{_functions(stacks)}\n\n{_threads(_names(stacks), before, after, took)}"


@contextmanager
def _serving(bench: Bench, load: str) -> Iterator[tuple[Server, Callable[[], object]]]:
    """The server as that load wants it, and what puts the load on it."""
    database: Database = filled(bench, bench.plan.records)
    flags = ("--cache", "none://") if load == "cold" else ()
    with guidkeep(bench, database.copy(bench.folder).file, *flags) as server:
        if load == "hit":
            warm(bench, server, database.guids)
        if load == "create":
            yield server, lambda: create(bench, server)
        else:
            yield server, lambda: read_random(bench, server, database.guids)


def _functions(stacks: str) -> str:
    """Shares of all samples: in the function itself, and in it and what it called."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, times = line.rpartition(" ")
        _, *frames = stack.split(";")
        if not frames:
            continue  # a thread that was in no function of Python's
        own[frames[-1]] += int(times)
        for frame in set(frames):
            whole[frame] += int(times)
    total = sum(own.values()) or 1
    lines = [f"{'itself':>8} {'with all':>9}  function"]
    for frame, number in own.most_common(SHOWN):
        lines.append(f"{number / total:8.1%} {whole[frame] / total:9.1%}  {frame}")
    return "\n".join(lines)


def _names(stacks: str) -> dict[int, str]:
    """The threads' names, by their ids: the first frame of every stack."""
    return {int(number): name for number, name in re.findall(r"thread \((\d+)\): ([^;]*)", stacks)}


def _busy(pid: int) -> dict[int, tuple[float, float]]:
    """Seconds that each thread has spent in its own code and in the kernel."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        fields = (thread / "stat").read_text().rpartition(")")[2].split()
        user, kernel = (int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in fields[11:13])
        found[int(thread.name)] = (user, kernel)
    return found


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
    """py-spy, of this environment or of the machine."""
    name = "py-spy"
    for folder in (Path(sys.executable).parent, *map(Path, os.get_exec_path())):
        if (folder / name).exists():
            return str(folder / name)
    raise Failed("py-spy is missing: uv tool install py-spy")
