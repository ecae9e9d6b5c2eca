"""Three nodes over one Redis and one store, real ones, with a proxy on each way between them."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit
from urllib.request import urlopen

from servers import redis
from servers.nodes import GUIDKEEP, Node
from servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from servers.processes import Running
    from tests.consistency.workload import Load

ROOT = Path(__file__).parents[2]
STORE_TIMEOUT = 1.0
"""Seconds. A lease lasts three times as long."""
UNSETTLED = ("guidkeep_cache_unreachable", "guidkeep_cache_unsettled")
"""Metrics of a node that are 0 when all is well between it and the cache."""
LAUNCHER = (sys.executable, "-m", "tests.consistency.node")


class StoreServer:
    """A store's server of one's own, which may be stopped, killed and started again.

    Args:
        name: of its module in `servers`.
        folder: where its data goes.

    Raises:
        Missing: it is not installed.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._module = importlib.import_module(f"servers.{name}")
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.engine: Any = self._stack.enter_context(self._module.started(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        self.resume()
        self._stack.close()

    def pause(self) -> None:
        """Stops it and all its children (SIGSTOP)."""
        _signal(self.engine.process, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on (SIGCONT)."""
        _signal(self.engine.process, signal.SIGCONT)

    def kill(self) -> None:
        """Ends it and all its children on the spot."""
        getattr(self.engine, "kill", self.engine.process.kill)()

    def restart(self) -> None:
        """Starts it again on its data, and waits until it answers."""
        if self.name == "mongodb":
            self.engine.process = self._module.start(self._folder, urlsplit(self.engine.url).port)
            self._module.wait_until_it_listens(self.engine)
        else:
            self.engine.start()


class RedisServer:
    """A Redis of one's own, the same; it saves its file when it is told to, and then alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.engine = self._stack.enter_context(redis.started(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def pause(self) -> None:
        """Stops it (SIGSTOP)."""
        self.engine.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on (SIGCONT)."""
        self.engine.process.signal(signal.SIGCONT)

    def save(self) -> None:
        """Writes all that it holds to its file."""
        self.engine.ask("SAVE")

    def kill(self) -> None:
        """Ends it on the spot."""
        self.engine.process.kill()

    def restart(self) -> None:
        """Starts it again, with what its file holds, and waits until it answers."""
        self.engine.process = redis.start(self._folder, self.engine.port)
        redis.wait_until_it_answers(self.engine)
        (self._folder / "dump.rdb").unlink(missing_ok=True)


class Servers(NamedTuple):
    """What the nodes share."""

    store: StoreServer
    cache: RedisServer


class Cluster:
    """See the module's text. Runs as long as the `with` block lasts.

    Args:
        servers: what the nodes share.
        folder: where the nodes' logs go.
        load: its seed and its skews are the nodes'.
        max_age: seconds that a cache entry lives at most.
        patience: seconds that a write waits for Redis.
        jitter: seconds that a call of store or cache is delayed at most; 0: nodes as shipped.
        fault: what is wrong with the nodes; empty: nothing.
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
        store, cache = self.store.engine.fresh(), self.cache.engine.fresh()
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
        """Where the nodes serve."""
        return [node.address for node in self.nodes]

    def is_settled(self) -> bool:
        """Whether each node has the cache back, and has dropped there what it could not settle."""
        return all(_settled(node.address) for node in self.nodes)

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


def _settled(address: str) -> bool:
    with urlopen(f"{address}/metrics", timeout=10) as answer:  # noqa: S310 - it is http
        figures = dict(
            line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#"
        )
    return not any(float(figures[name]) for name in UNSETTLED)


def _signal(process: Running, number: signal.Signals) -> None:
    """To a process and all that it started, if it still runs."""
    for pid in (*_children(process.pid), process.pid):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _children(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in children for found in (int(child), *_children(int(child)))]
