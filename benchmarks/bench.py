"""One run: its sizes, folders, cores and programs."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from servers import PACKAGE_OF, postgresql
from servers.processes import Missing, cores, program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Key = TypeVar("Key")

PROGRAMS = ("wrk", "nginx", "webdis", "redis-server", "mariadbd", "postgres")
PACKAGES = {name: PACKAGE_OF[name] for name in PROGRAMS} | {"taskset": "util-linux"}
"""Debian's packages of the programs that are not Guidkeep's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The sizes of a run.

    Attributes:
        rounds: how often each contestant is measured.
        seconds: the duration of a measurement.
        records: in the database of most scenarios.
        more_records: in the database for reads that never repeat.
        most_records: in the database for growth.
        expiring: records that expire in one second.
        quiet: seconds before that, for comparison.
        starts: how often the service is started.
        cached: entries that fill the memory cache.
        imported: records that go in by one request and out by another.
        share: the divisor of the size of an attack.
    """

    rounds: int
    seconds: int
    records: int
    more_records: int
    most_records: int
    expiring: int
    quiet: int
    starts: int
    cached: int
    imported: int
    share: int


FULL = Plan(
    rounds=5,
    seconds=4,
    records=100_000,
    more_records=1_000_000,
    most_records=10_000_000,
    expiring=1_000_000,
    quiet=15,
    starts=9,
    cached=1_000_000,
    imported=1_000_000,
    share=1,
)
QUICK = Plan(
    rounds=1,
    seconds=1,
    records=10_000,
    more_records=100_000,
    most_records=200_000,
    expiring=50_000,
    quiet=3,
    starts=2,
    cached=100_000,
    imported=20_000,
    share=20,
)


@dataclass(frozen=True, slots=True)
class Bench:
    """The environment of a scenario.

    Attributes:
        plan: the sizes of the run.
        folder: for this run's files, on a disk, not in memory; removed at the end.
        kept: for files that later runs reuse.
        guidkeep: the program to measure.
    """

    plan: Plan
    folder: Path
    kept: Path
    guidkeep: Path
    server_core: int = field(default_factory=lambda: cores()[0])
    load_core: int = field(default_factory=lambda: cores()[1])

    def subfolder(self, name: str) -> Path:
        """Creates an empty folder for this run."""
        number = len(list(self.folder.glob(f"{name}-*")))
        path = self.folder / f"{name}-{number}"
        path.mkdir()
        return path

    def say(self, what: str) -> None:
        """Prints a progress message."""
        print(f"  {what}", file=sys.stderr, flush=True)

    def has(self, *programs: str) -> bool:
        """Whether all these programs are installed."""
        return not set(missing()).intersection(programs)

    def program(self, name: str) -> str:
        """The path of the program. Raises Missing if it is not installed."""
        return _find(name)

    def rounds(self, turns: Mapping[Key, Callable[[], float]]) -> dict[Key, list[float]]:
        """The result of each contestant in each round; each round starts with another one."""
        found: dict[Key, list[float]] = {key: [] for key in turns}
        order = list(turns)
        for number in range(self.plan.rounds):
            self.say(f"round {number + 1} of {self.plan.rounds}")
            for key in order:
                found[key].append(turns[key]())
            order.append(order.pop(0))
        return found


def missing() -> list[str]:
    """The programs that are not installed."""
    names = []
    for name in PACKAGES:
        try:
            _find(name)
        except Missing:
            names.append(name)
    return names


def keeping_folder() -> Path:
    """The folder for filled databases, outside the repository."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "guidkeep-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _find(name: str) -> str:
    return program(name, package=PACKAGES[name], folders=postgresql.FOLDERS)
