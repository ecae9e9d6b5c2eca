"""Three real nodes over one Redis and one store, with a proxy on each connection between them."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from servers.nodes import GUIDKEEP, Node
from servers.proxy import Proxy
from tests.engines import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from servers.processes import Running
    from servers.redis import Redis
    from tests.consistency.workload import Load

ROOT = Path(__file__).parents[2]
STORE_TIMEOUT = 1.0
"""Seconds. A lease lasts three times as long."""
LAUNCHER = (sys.executable, "-m", "tests.consistency.node")


class StoreServer(Engine, Protocol):
    """A store's server for this run, started by its module in `servers`."""

    @property
    def process(self) -> Running:
        """Its processes, which may be stopped and killed."""
        ...

    def start(self) -> None:
        """Starts it again on its data, and returns when it responds."""
        ...


class Servers(NamedTuple):
    """The servers that the nodes share."""

    store: StoreServer
    cache: Redis


class Cluster:
    """A cluster that runs during the `with` block; see the module's text.

    Args:
        servers: the servers that the nodes share.
        folder: the folder of the nodes' logs.
        load: gives the nodes' seed and skews.
        max_age: maximum seconds that a cache entry lives.
        patience: seconds that a write waits for Redis.
        jitter: maximum delay of a call of store or cache, in seconds; 0: nodes as shipped.
        fault: the fault of the nodes; empty: none.
    """

    def __init__(
        self,
        servers: Servers,
        folder: Path,
        load: Load,
        *,
        max_age: float = 60.0,
        patience: float = 5.0,
        jitter: float = 0.0,
        fault: str = "",
    ) -> None:
        self.store, self.cache = servers
        self.to_store: list[Proxy] = []
        self.to_cache: list[Proxy] = []
        self.nodes: list[Node] = []
        self._folder = folder
        self._load = load
        self._jitter = jitter
        self._fault = fault
        self._stack = ExitStack()
        self._flags = [
            *("--store-timeout", f"{STORE_TIMEOUT}s"),
            *("--cache-max-age", f"{max_age}s"),
            *("--cache-write-timeout", f"{patience}s"),
        ]

    def __enter__(self) -> Self:
        store, cache = self.store.fresh(), self.cache.fresh()
        with ExitStack() as stack:
            for number in range(len(self._load.skews)):
                self.to_store.append(stack.enter_context(Proxy.before(store)))
                self.to_cache.append(stack.enter_context(Proxy.before(cache)))
                node = self._node(number, store, cache)
                node.launch()
                stack.push(node)
                self.nodes.append(node)
            for node in self.nodes:
                node.wait()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.process.signal(signal.SIGTERM)  # so that they drain at the same time
        self._stack.close()

    @property
    def addresses(self) -> list[str]:
        """The addresses of the nodes."""
        return [node.address for node in self.nodes]

    def _node(self, number: int, store: str, cache: str) -> Node:
        folder = self._folder / f"node-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        urls = (
            *("--store", self.to_store[number].url(store)),
            *("--cache", self.to_cache[number].url(cache)),
        )
        path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        return Node(
            folder,
            [*urls, *self._flags],
            command=self._command(number),
            environment={"PYTHONPATH": path},
        )

    def _command(self, number: int) -> Sequence[str]:
        skew = self._load.skews[number]
        if not (skew or self._jitter or self._fault):
            return GUIDKEEP
        seed = f"{self._load.seed}.{number}"
        return (
            *LAUNCHER,
            f"--skew={skew}",
            f"--jitter={self._jitter}",
            f"--seed={seed}",
            f"--fault={self._fault}",
            "serve",
        )
