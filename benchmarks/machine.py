"""The machine, and the versions of all programs of a run."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from guidkeep import caches, stores
from servers.processes import cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench

LIBRARIES = ("uvicorn", "uvloop", "httptools")
REFERENCE = ("redis",)
"""What the reference service needs beside them."""
SYNCS = 200


def describe(bench: Bench) -> dict[str, str]:
    """The facts to print above the results."""
    server, load = cores()
    where = f"servers on core {server}, load on core {load}"
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores; {where}",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "Disk": f"{_sync_seconds(bench) * 1e6:.0f} µs for fdatasync of 4 KiB (median of {SYNCS})",
        "System": f"{_system()}, Linux {platform.release()}",
        "Guidkeep": f"{_version('guidkeep')} on Python {platform.python_version()}, {_libraries()}",
        "Beside it": ", ".join(_others(bench)) or "nothing: none is installed",
    }


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def _libraries() -> str:
    import sqlite3  # noqa: PLC0415 - for its version only

    listed = [f"{name} {_version(name)}" for name in (*LIBRARIES, *_drivers(), *REFERENCE)]
    return ", ".join([*listed, f"SQLite {sqlite3.sqlite_version}"])


def _drivers() -> list[str]:
    """The packages of the extras of stores and caches."""
    extras = {f"extra == '{row.extra}'" for row in (*stores.BACKENDS, *caches.BACKENDS)}
    needed = (line.partition(";") for line in requires("guidkeep") or ())
    return [re.split(r"[^\w-]", name)[0] for name, _, when in needed if when.strip() in extras]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _others(bench: Bench) -> list[str]:
    """Names and versions; only the package manager knows those of wrk and Webdis."""
    asked = {
        "nginx": ["nginx", "-v"],
        "Redis": ["redis-server", "--version"],
        "Webdis": ["dpkg-query", "-W", "-f", "${Version}", "webdis"],
        "MariaDB": ["mariadbd", "--version"],
        "PostgreSQL": ["postgres", "--version"],
        "wrk": ["dpkg-query", "-W", "-f", "${Version}", "wrk"],
    }
    found = {name: _first_number(command, bench) for name, command in asked.items()}
    numbers = {**found, "Tornado": _version("tornado")}
    return [f"{name} {number}" for name, number in numbers.items() if number]


def _first_number(command: Sequence[str], bench: Bench) -> str:
    name, *arguments = command
    if name != "dpkg-query":
        if not bench.has(name):
            return ""
        name = bench.program(name)
    try:
        done = subprocess.run([name, *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found and not done.returncode else ""


def _sync_seconds(bench: Bench) -> float:
    """The median seconds of a durable write into an existing file on this disk."""
    took = []
    with (bench.folder / "sync").open("wb", buffering=0) as file:
        file.write(bytes(4096 * SYNCS))
        os.fsync(file.fileno())
        file.seek(0)
        for number in range(SYNCS):
            file.write(number.to_bytes(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return median(took)
