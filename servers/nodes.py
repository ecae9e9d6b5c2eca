"""Guidkeep nodes: `guidkeep serve` as processes that can be killed, stopped and restarted."""

from __future__ import annotations

import os
import re
import sys
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from servers.processes import Running

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

GUIDKEEP = (sys.executable, "-m", "guidkeep", "serve")
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith("GUIDKEEP_")
}
UNSETTLED = ("guidkeep_cache_unreachable", "guidkeep_cache_unsettled")
"""Metrics of a node that are 0 while it can use the cache."""
_announced = re.compile(r"^Guidkeep \S+ serves .* on http://127\.0\.0\.1:(\d+)$", re.MULTILINE)


class Node:
    """A node; keeps its port when it is restarted.

    Args:
        folder: for its logs, one for each start.
        flags: of `guidkeep serve`, without the port.
        command: the command, without the flags.
        environment: variables to add.
        core: the core it runs on; None: any.
    """

    process: Running

    def __init__(
        self,
        folder: Path,
        flags: Sequence[str],
        *,
        command: Sequence[str] = GUIDKEEP,
        environment: Mapping[str, str] | None = None,
        core: int | None = None,
    ) -> None:
        self.port = 0
        self._folder = folder
        self._command = (*command, *flags)
        self._environment = {**ENVIRONMENT, **(environment or {})}
        self._core = core

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    @property
    def address(self) -> str:
        """Its address: `http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it accepts requests."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Starts it; see `wait`."""
        self.process = Running(
            [*self._command, "--host", "127.0.0.1", "--port", str(self.port)],
            folder=self._folder,
            core=self._core,
            environment=self._environment,
        )

    def wait(self) -> None:
        """Returns when it accepts requests. Raises Failed if it ends before."""
        self.port = self.process.wait_for(self._announced_port, "line with its address")

    def _announced_port(self) -> int | None:
        found = _announced.search(self.process.log.read_text(errors="replace"))
        return int(found[1]) if found else None


def trusts_its_cache(address: str) -> bool:
    """Whether the node reaches its cache, and has dropped all entries that it wrote meanwhile."""
    try:
        with closing(HTTPConnection(urlsplit(address).netloc, timeout=10)) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
    except OSError:  # it may have been killed just before
        return False
    return all(f"\n{name} 0.0\n" in text for name in UNSETTLED)
