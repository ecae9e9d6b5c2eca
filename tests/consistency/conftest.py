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
"""With what they are started; MariaDB as shipped does not promise all that is checked."""


class Fleet:
    """All that were started, and what was missing; one that is missing skips its own tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._running: dict[str, Servers | str] = {}

    def get(self, name: str) -> Servers:
        """The servers for that store. Skips the test, or in CI fails it, without them."""
        skip_if_alone()
        if name not in self._running:
            self._running[name] = self._start(name)
        found = self._running[name]
        if isinstance(found, str):
            lack(found)
        return found

    def close(self) -> None:
        """Ends them all."""
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
