"""Redis Clusters: real ones, each of some Redis processes on the loopback address."""

from __future__ import annotations

import time
from binascii import crc_hqx
from bisect import bisect
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import hiredis

from servers.processes import START_SECONDS, Failed, free_port
from servers.redis import Redis, new_prefix, own

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SLOTS = 16_384
NODE_TIMEOUT = 1000
"""Milliseconds of silence after which the nodes of a cluster give another node up."""


class RedisCluster:
    """A running Redis Cluster.

    Attributes:
        url: names all its masters at the start.
        nodes: the masters first, then the replicas, in the same order.
        ends: the first slot after the slots of each master.
    """

    def __init__(self, nodes: Sequence[Redis], masters: int) -> None:
        self.nodes = nodes
        self.masters = nodes[:masters]
        self.ends = [SLOTS * at // masters for at in range(1, masters + 1)]
        places = ",".join(f"{node.host}:{node.port}" for node in self.masters)
        self.url = f"redis+cluster://{places}/"

    def fresh(self) -> str:
        """A URL with a new prefix, under which there are no keys."""
        return f"{self.url}?prefix={new_prefix()}"

    def keys(self, url: str) -> list[bytes]:
        """The keys under the prefix of a URL from `fresh`."""
        return [key for node in self.masters for key in node.keys(url)]

    def flush(self, url: str) -> None:
        """Deletes the keys under the prefix of a URL from `fresh`."""
        for node in self.masters:
            node.flush(url)

    def owner(self, key: str) -> Redis:
        """The master that has that key, at the start."""
        return self.masters[bisect(self.ends, crc_hqx(key.encode(), 0) % SLOTS)]

    def is_well(self) -> bool | None:
        """True if all nodes know that all slots are served, and the master of each replica."""
        for node in self.nodes:
            about = node.ask("CLUSTER", "INFO").decode()
            known = f"cluster_known_nodes:{len(self.nodes)}\r"
            if "cluster_state:ok" not in about or known not in about:
                return None
            ranges = node.ask("CLUSTER", "SLOTS")
            if sum(len(range_) - 2 for range_ in ranges) != len(self.nodes):
                return None
        return True


def at(url: str) -> RedisCluster:
    """A cluster that is running already; the URL has its masters in the order of their slots."""
    places = urlsplit(url).netloc.split(",")
    return RedisCluster([Redis(f"redis://{place}") for place in places], len(places))


@contextmanager
def started(folder: Path, masters: int = 3, replicas: int = 0) -> Iterator[RedisCluster]:
    """A Redis Cluster of masters that share the slots, and replicas of the first of them.

    Raises:
        Missing: Redis is not installed.
    """
    with ExitStack() as stack:
        buses = [free_port() for _ in range(masters + replicas)]
        nodes = [_cluster_node(folder, bus, stack) for bus in buses]
        for epoch, node in enumerate(nodes, start=1):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", epoch)
            node.ask("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, buses[0])
        made = RedisCluster(nodes, masters)
        for node, first, end in zip(made.masters, [0, *made.ends], made.ends, strict=False):
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        for master, replica in zip(nodes, nodes[masters:], strict=False):
            _until(lambda: _replicates(replica, master))  # noqa: B023 - called at once
        _until(made.is_well)
        yield made


def _cluster_node(folder: Path, bus: int, stack: ExitStack) -> Redis:
    flags = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT)]
    flags += ["--cluster-port", str(bus), "--cluster-replica-validity-factor", "0"]
    place = folder / f"node-{bus}"
    place.mkdir()
    # A replica counts from the first byte that it receives, even that of a ping.
    flags += ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
    node = own(place, flags=flags)
    stack.callback(node.stop)
    node.start()
    return node


def _replicates(replica: Redis, master: Redis) -> bool | None:
    try:
        replica.ask("CLUSTER", "REPLICATE", master.ask("CLUSTER", "MYID"))
    except hiredis.ReplyError:  # it does not know that node yet
        return None
    return True


def _until(ask: Any) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ask():
        if time.monotonic() > deadline:
            raise Failed(f"The Redis Cluster did not form within {START_SECONDS:g} s.")
        time.sleep(0.02)
