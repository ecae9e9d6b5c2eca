"""The cost of an attack: the server's CPU time and memory, as the kernel counts them."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.servers import Server

MB = 1e6
SETTLING = 20.0
"""Seconds after an attack within which the server should become idle."""
QUIET = 1.0
QUIETS = 2
"""It has settled after `QUIETS` idle periods of `QUIET` seconds: in a single period, a busy machine
may not have scheduled it."""
IDLE = 0.06
"""Seconds of CPU in a period that count as idle: the bystander's requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of an attack.

    Attributes:
        cpu: seconds, user and system, until the server was idle.
        before: bytes of memory before the attack.
        peak: the maximum during the attack.
        kept: bytes when the attacker had left and the server was idle.
        settled: whether the server became idle.
    """

    cpu: float
    before: int
    peak: int
    kept: int
    settled: bool

    def __str__(self) -> str:
        sizes = f"memory {_mb(self.before)}, at most {_mb(self.peak)}, then {_mb(self.kept)} MB"
        return sizes if self.settled else f"{sizes}; still busy {SETTLING:.0f} s later"


class Victim:
    """Measures a server from its creation on."""

    def __init__(self, server: Server) -> None:
        self._process = Path("/proc") / str(server.process.pid)
        (self._process / "clear_refs").write_text("5")  # the peak counts from now (proc(5))
        self._before = self._status("VmRSS")
        self._cpu = self._seconds()

    def settles(self, seconds: float = SETTLING) -> bool:
        """Waits until the server is idle, within a time limit; returns whether it is."""
        until = time.monotonic() + seconds
        quiet = 0
        while quiet < QUIETS and time.monotonic() < until:
            before = self._seconds()
            time.sleep(QUIET)
            quiet = quiet + 1 if self._seconds() - before <= IDLE else 0
        return quiet == QUIETS

    def cost(self) -> Cost:
        """Waits until the server has settled; returns the cost so far."""
        settled = self.settles()
        return Cost(
            cpu=self._seconds() - self._cpu,
            before=self._before,
            peak=self._status("VmHWM"),
            kept=self._status("VmRSS"),
            settled=settled,
        )

    def _seconds(self) -> float:
        """CPU time of all its threads."""
        fields = (self._process / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> int:
        text = (self._process / "status").read_text()
        found = re.search(rf"^{name}:\s*(\d+) kB$", text, re.MULTILINE)
        return 1024 * int(found[1]) if found else 0


def _mb(size: int) -> str:
    return f"{size / MB:,.0f}"
