"""Servers for tests that stop and kill them, each started once."""

from __future__ import annotations

import importlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from servers import mysql, redis
from servers.processes import Missing
from tests.alone import skip_if_alone
from tests.consistency.cluster import Servers
from tests.engines import lack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

OPTIONS: Mapping[str, dict[str, Any]] = {"mysql": {"options": mysql.BINARY_LOG}}
"""Options for starting them; MariaDB's defaults do not promise everything that is checked."""


class Fleet:
    """The servers that were started, and those that are missing, whose tests are skipped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._running: dict[str, Servers | str] = {}

    def get(self, name: str) -> Servers:
        """Returns the servers for that store; without them skips the test, or fails it in CI."""
        skip_if_alone()
        if name not in self._running:
            self._running[name] = self._start(name)
        found = self._running[name]
        if isinstance(found, str):
            lack(found)
        return found

    def close(self) -> None:
        """Stops all servers."""
        self._stack.close()

    def _start(self, name: str) -> Servers | str:
        try:
            module = importlib.import_module(f"servers.{name}")
            store = module.started(self._new_folder(name), **OPTIONS.get(name, {}))
            cache = redis.started(self._new_folder(f"redis-for-{name}"))
            return Servers(*map(self._stack.enter_context, (store, cache)))
        except Missing as missing:
            return str(missing)

    def _new_folder(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder


@pytest.fixture(scope="package")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    running = Fleet(tmp_path_factory.mktemp("consistency"))
    yield running
    running.close()
