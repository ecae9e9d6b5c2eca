"""Galera clusters of MariaDB: real ones, each of some mariadbd processes on the loopback address.

The first node bootstraps the cluster. The others copy its data by rsync, one after the other,
because a node can't be the source of two copies at once. A node that was killed recovers its
position (`--wsrep-recover`, as the service of Debian's package does), and fetches what it missed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from servers.mysql import PACKAGE, MariaDB, Server
from servers.processes import Failed, Missing, Running, free_port, program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
OWNER = "mysql"
"""The user that runs a node if this process runs as root: a receiving rsync drops root."""
FAILURE_DETECTION = (
    "evs.keepalive_period=PT0.5S",
    "evs.suspect_timeout=PT2S",
    "evs.inactive_timeout=PT5S",
)
"""A silent node is given up after two seconds. The default is five, in which no write succeeds;
Guidkeep's own store timeout is five seconds too."""
SETTINGS = (
    "--binlog-format=ROW",
    "--innodb-autoinc-lock-mode=2",
    "--wsrep-on=ON",
    f"--wsrep-provider={PROVIDER}",
    "--wsrep-sst-method=rsync",
)
_SYNCED = "4"
_STATE = "SHOW STATUS LIKE 'wsrep_local_state'; SHOW STATUS LIKE 'wsrep_ready'"
_POSITION = "WSREP: Recovered position: "


class Node(MariaDB):
    """A node of a cluster; keeps its data and ports when it is restarted.

    Args:
        folder: where its data goes; exists.
        group_port: the port for the other nodes.
        peers: the group ports of all.
        is_first: whether it bootstraps the cluster at its first start.
    """

    def __init__(
        self, folder: Path, *, group_port: int, peers: Sequence[int], is_first: bool
    ) -> None:
        self._is_new = True
        self._is_first = is_first
        provider = (
            f"gmcast.listen_addr=tcp://127.0.0.1:{group_port}",
            f"ist.recv_addr=127.0.0.1:{free_port()}",
            "gcache.size=32M",
            *FAILURE_DETECTION,
        )
        options = (
            *SETTINGS,
            f"--wsrep-cluster-address=gcomm://{','.join(f'127.0.0.1:{port}' for port in peers)}",
            f"--wsrep-provider-options={';'.join(provider)}",
            f"--wsrep-node-address=127.0.0.1:{group_port}",
            f"--wsrep-sst-receive-address=127.0.0.1:{free_port()}",
        )
        super().__init__(folder, options=options)

    def launch(self) -> None:
        """Starts it; see `wait`."""
        begins = self._is_new and self._is_first
        how = ["--wsrep-new-cluster"] if begins else [] if self._is_new else self._recovered()
        self._is_new = False
        self.process = Running([*self._command(), *how], folder=self._folder)

    def wait(self) -> None:
        """Returns when it has joined the cluster and has all its data."""
        try:
            self.process.wait_for(self._is_synced, "part in the cluster", pause=0.05)
        except Failed:
            self.process.kill()  # while it waits for the others it ignores SIGTERM
            raise

    def _is_synced(self) -> bool | None:
        try:
            state, ready = (line.split("\t")[1] for line in self.run(_STATE).splitlines())
        except Failed:  # it does not listen yet
            return None
        return True if (state, ready) == (_SYNCED, "ON") else None

    def _recovered(self) -> list[str]:
        """The option with its recovered position."""
        asked = subprocess.run(
            [*self._command(), "--wsrep-recover"],
            capture_output=True,
            text=True,
            check=False,
        )
        found = [line.partition(_POSITION)[2] for line in asked.stderr.splitlines()]
        [position] = [text.strip() for text in found if text] or [""]
        return [f"--wsrep-start-position={position}"] if position else []

    def _install(self) -> None:
        """Creates the data of the first node; the other nodes copy it."""
        data = self._folder / "data"
        data.mkdir()
        if os.geteuid() == 0:
            for path in (self._folder, data):
                shutil.chown(path, OWNER)
        if self._is_first:
            super()._install()

    def _place(self) -> list[str]:
        whose = [f"--user={OWNER}"] if os.geteuid() == 0 else []
        return [f"--datadir={self._folder / 'data'}", *whose]


class Galera:
    """A running cluster.

    Attributes:
        nodes: its servers; the first one bootstrapped it.
        url: names all of them, with a user that has all rights.
    """

    def __init__(self, nodes: Sequence[Server]) -> None:
        self.nodes = nodes
        first, *others = (urlsplit(node.url) for node in nodes)
        places = (f"{other.hostname}:{other.port}" for other in others)
        self.url = first._replace(netloc=",".join((first.netloc, *places))).geturl()

    def fresh(self) -> str:
        """The URL of a new, empty database, with all nodes in it."""
        name = f"guidkeep_{secrets.token_hex(6)}"
        self.nodes[0].run(f"CREATE DATABASE {name}")
        return f"{self.url.rstrip('/')}/{name}"


class OwnGalera(Galera):
    """A cluster for one test: its nodes may be killed and restarted."""

    nodes: Sequence[Node]


def at(url: str) -> Galera:
    """A cluster that is running already; the URL has all its nodes."""
    parts = urlsplit(url)
    login, separator, places = parts.netloc.rpartition("@")
    return Galera(
        [
            Server(parts._replace(netloc=f"{login}{separator}{place}").geturl())
            for place in places.split(",")
        ]
    )


@contextmanager
def started(folder: Path, *, size: int = 3) -> Iterator[OwnGalera]:
    """A cluster of `size` nodes, with their data in `folder`.

    If this process runs as root, the data is in another folder, which is removed at the end:
    `OWNER` may not be able to enter the given one, and pytest takes the right to enter it away.

    Raises:
        Missing: MariaDB, Galera or rsync is not installed.
    """
    program("mariadbd", package=PACKAGE)
    program("rsync", package="rsync")
    if not PROVIDER.exists():
        raise Missing(f"{PROVIDER} is missing: apt-get install galera-4")
    if os.geteuid() == 0:
        with TemporaryDirectory(prefix="galera-") as other:
            Path(other).chmod(0o711)
            yield from _started(Path(other), size)
    else:
        yield from _started(folder, size)


def _started(folder: Path, size: int) -> Iterator[OwnGalera]:
    peers = [free_port() for _ in range(size)]
    nodes: list[Node] = []
    try:
        for number, port in enumerate(peers):
            place = folder / f"node-{number}"
            place.mkdir()
            node = Node(place, group_port=port, peers=peers, is_first=not number)
            nodes.append(node)
            node.start()
        yield OwnGalera(nodes)
    finally:
        _stop(nodes)


def _stop(nodes: Sequence[Node]) -> None:
    """Ends all nodes at once."""
    running = [node.process for node in nodes if hasattr(node, "process")]
    for process in running:
        process.signal(signal.SIGTERM)
        process.signal(signal.SIGCONT)
    for process in running:
        process.stop()
