"""Servers and nodes for tests that stop and kill them, each started once."""

from __future__ import annotations

import importlib
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from servers import mysql, redis
from servers.processes import Missing
from tests.alone import skip_if_alone
from tests.consistency import campaign
from tests.consistency.cluster import Servers
from tests.consistency.nemeses import NEMESES
from tests.consistency.workload import Load
from tests.engines import lack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.consistency.cluster import Cluster

OPTIONS: Mapping[str, dict[str, Any]] = {"mysql": {"options": mysql.BINARY_LOG}}
"""Options for starting them; MariaDB's defaults do not promise everything that is checked."""


class Fleet:
    """The servers that were started, and those that are missing, whose tests are skipped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._running: dict[str, Servers | str] = {}
        self._numbers = count()
        self._nodes = ExitStack()
        self._cluster: Cluster | None = None
        self._settings: object = None

    def get(self, name: str) -> Servers:
        """Returns the servers for that store; without them skips the test, or fails it in CI."""
        skip_if_alone()
        if name not in self._running:
            self._running[name] = self._start(name)
        found = self._running[name]
        if isinstance(found, str):
            lack(found)
        return found

    @contextmanager
    def cluster(self, store: str, nemesis: str) -> Iterator[Cluster]:
        """Nodes on that store with the settings that the nemesis needs.

        Nemeses with the same settings in a row get the same nodes, which a nemesis leaves healed.
        After a failure they are stopped, so that they fail no other test.
        """
        servers, settings = self.get(store), (store, NEMESES[nemesis].settings)
        if self._cluster is None or settings != self._settings:
            self._stop_nodes()
            folder = self._new_folder("-".join((store, *nemesis.split())))
            load = Load(seed=1, skews=NEMESES[nemesis].skews)
            nodes = campaign.cluster(servers, folder, nemesis, load)
            self._cluster, self._settings = self._nodes.enter_context(nodes), settings
        try:
            yield self._cluster
        except BaseException:
            self._stop_nodes()
            raise

    def close(self) -> None:
        """Stops all nodes and servers."""
        self._stop_nodes()
        self._stack.close()

    def _stop_nodes(self) -> None:
        self._cluster = None
        self._nodes.close()

    def _start(self, name: str) -> Servers | str:
        try:
            module = importlib.import_module(f"servers.{name}")
            store = module.started(self._new_folder(name), **OPTIONS.get(name, {}))
            cache = redis.started(self._new_folder(f"redis-for-{name}"))
            return Servers(*map(self._stack.enter_context, (store, cache)))
        except Missing as missing:
            return str(missing)

    def _new_folder(self, name: str) -> Path:
        folder = self._folder / f"{next(self._numbers)}-{name}"
        folder.mkdir()
        return folder


@pytest.fixture(scope="package")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    running = Fleet(tmp_path_factory.mktemp("consistency"))
    yield running
    running.close()
