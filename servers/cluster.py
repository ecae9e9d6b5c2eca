"""A whole cluster on this machine: MariaDB, Redis, three nodes of Guidkeep, nginx in front.

`python -m servers.cluster` starts it in `build/cluster`, prints the balancer's address once it
responds, and restarts parts that die. It ends all parts on Ctrl-C, on SIGTERM, or when its terminal
is closed. The stored data stays for the next start.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from servers import nginx, redis
from servers.mysql import BINARY_LOG, MariaDB
from servers.nodes import Node
from servers.processes import Failed, Running, free_port, listens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NODES = 3
LOOK_INTERVAL = 0.1
"""Seconds between two checks of the parts."""
START_INTERVAL = 1.0
"""The least number of seconds between two starts of a part."""
FAREWELLS = {"nginx": signal.SIGQUIT}
"""The signals that end parts, other than SIGTERM: with that, nginx would drop its clients."""


class Part(Protocol):
    """A server of the cluster."""

    port: int

    @property
    def process(self) -> Running:
        """Its process, once it was launched."""
        ...

    def launch(self) -> None:
        """Starts it, or starts it again on the same port."""
        ...

    def wait(self) -> None:
        """Returns when it responds. Raises Failed if it does not."""
        ...


class Store(MariaDB):
    """MariaDB; its data stays in its folder."""

    def wait(self) -> None:
        """See Part; creates the database too."""
        super().wait()
        self.run("CREATE DATABASE IF NOT EXISTS guidkeep")

    @property
    def place(self) -> str:
        """The URL of the database."""
        return f"{self.url}guidkeep"


class Balancer:
    """nginx."""

    process: Running

    def __init__(self, folder: Path, port: int, nodes: Sequence[Node]) -> None:
        self.port = port or free_port()
        self._folder = folder
        self._nodes = nodes

    def launch(self) -> None:
        """See Part."""
        self.process = nginx.start(self._folder, self.port, [node.port for node in self._nodes])

    def wait(self) -> None:
        """See Part."""
        self.process.wait_for(lambda: listens(self.port), "answer")


class Cluster:
    """All parts.

    Args:
        folder: where data and logs go.
        port: the balancer's; 0: a free one.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._parts: dict[str, Part] = {}
        self._launched: dict[str, float] = {}

    def start(self) -> str:
        """Starts the parts, dependencies first; returns the balancer's address.

        Raises:
            Failed: one of them does not start, or is not installed; another program has the port.
        """
        if self._port and listens(self._port):
            raise Failed(f"Another program listens on 127.0.0.1:{self._port}.")
        store = Store(self._subfolder("mariadb"), options=BINARY_LOG)
        self._add("mariadb", store)
        cache = redis.own(self._subfolder("redis"))
        self._add("redis", cache)
        # Not as flags: all users of the machine can read them, and the URL has a password.
        shared = {
            "GUIDKEEP_STORE": store.place,
            "GUIDKEEP_CACHE": cache.url,
            "GUIDKEEP_MAX_CONNECTIONS_PER_CLIENT": "0",  # the only client is the balancer
        }
        nodes = [
            Node(self._subfolder(f"node-{number}"), [], environment=shared)
            for number in range(1, NODES + 1)
        ]
        for number, node in enumerate(nodes, 1):
            self._add(f"node-{number}", node)
        balancer = Balancer(self._subfolder("nginx"), self._port, nodes)
        self._add("nginx", balancer)
        return f"http://127.0.0.1:{balancer.port}"

    def look(self) -> None:
        """Restarts parts that have died."""
        for name, part in self._parts.items():
            code = part.process.exit_code
            if code is None or time.monotonic() - self._launched[name] < START_INTERVAL:
                continue
            say(f"{name} ended ({code}): {part.process.last_words()}")
            with contextlib.suppress(Failed):  # the next check tries again
                self._launch(name, part)

    def stop(self) -> None:
        """Ends all parts, dependencies last."""
        for name in reversed(self._launched):
            self._parts[name].process.stop(FAREWELLS.get(name, signal.SIGTERM))
            say(f"{name} stopped")

    def _add(self, name: str, part: Part) -> None:
        self._parts[name] = part
        self._launch(name, part)
        part.wait()
        say(f"{name} listens on 127.0.0.1:{part.port}")

    def _launch(self, name: str, part: Part) -> None:
        part.launch()
        self._launched[name] = time.monotonic()
        say(f"{name} runs, pid {part.process.pid}")

    def _subfolder(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        for log in folder.glob("*.log"):  # the logs of the former run
            log.unlink()
        return folder


def say(line: str) -> None:
    """Prints it at once."""
    with contextlib.suppress(BrokenPipeError):  # the reader is gone
        print(line, flush=True)  # noqa: T201 - it is a command


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Raises Failed if another cluster runs there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Failed(f"A cluster runs in {folder} already.") from error
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the cluster; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m servers.cluster", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/cluster"))
    parser.add_argument("--port", type=int, default=8080, help="the balancer's; 0: a free one")
    options = parser.parse_args(arguments)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # HUP: the terminal was closed
        signal.signal(number, lambda *_: over.set())
    cluster = Cluster(options.folder.resolve(), options.port)
    try:
        with _alone_in(options.folder):
            try:
                say(f"The cluster serves on {cluster.start()}")
                while not over.wait(LOOK_INTERVAL):
                    cluster.look()
            finally:
                cluster.stop()
    except Failed as error:
        print(f"cluster: {error}", file=sys.stderr)  # noqa: T201 - it is a command
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
