"""The real servers that tests run on. Each is started once per session, when a test first needs it.

A URL in the environment (`GUIDKEEP_TEST_MYSQL_URL`, ...) names a server that runs already. Tests of
a server that is not installed are skipped here, and fail in CI.
"""

from __future__ import annotations

import importlib
import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol, cast

import pytest

from guidkeep import caches, stores
from servers import ENGINES
from servers.processes import Failed, Missing
from tests.alone import skip_if_alone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import NoReturn, TypeVar

    Started = TypeVar("Started")

LOCAL = {row.name: row for row in (*stores.BACKENDS, *caches.BACKENDS) if row.extra is None}
"""The stores and caches that need no server."""
STORES = (
    *(row.name for row in stores.BACKENDS if row.name in LOCAL),
    *(engine.name for engine in ENGINES if engine.store),
)
"""What the contract of stores is run on: the local stores, and the engines that serve a store."""
CACHES = (
    *(row.name for row in caches.BACKENDS if row.name in LOCAL),
    *(engine.name for engine in ENGINES if engine.cache),
)
"""What the contract of caches is run on."""
SINGLE = tuple(engine.name for engine in ENGINES if engine.store == engine.name)
"""Of the engines that serve a store one for each store."""
EACH_STORE = tuple(name for name in STORES if name in LOCAL or name in SINGLE)
"""Each store once: the local ones, and one engine for each other."""


def local_url(name: str, file: Path) -> str:
    """Returns the URL of a store or cache that needs no server; a store is in that file."""
    return LOCAL[name].urls[0].partition("?")[0].replace("FILE", str(file))


def store_of(name: str) -> str:
    """Returns the name of the store that an engine serves; a local store has its own name."""
    return next((str(row.store) for row in ENGINES if row.name == name), name)


class Engine(Protocol):
    """A running server, started by its module in `servers`."""

    def fresh(self) -> str:
        """Returns the URL of a new, empty database on the server, for one test."""
        ...


class EngineModule(Protocol):
    """A module of `servers` that `servers.ENGINES` names."""

    def started(self, folder: Path) -> AbstractContextManager[Engine]:
        """Starts a server with its data in that folder. Raises Missing."""
        ...

    def at(self, url: str) -> Engine:
        """A server that runs already."""
        ...


class Engines:
    """The servers that a session started, and those that it could not start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, Engine] = {}
        self._failed: dict[str, Failed] = {}
        self._stack = ExitStack()

    def get(self, name: str) -> Engine:
        """Returns that server; if it is not installed, skips the test, or fails it in CI.

        Raises:
            Failed: it did not start, now or when an earlier test asked for it.
        """
        skip_if_alone()
        if name not in self._running and name not in self._failed:
            try:
                self._running[name] = self._start(name)
            except Failed as failed:
                self._failed[name] = failed
        failure = self._failed.get(name)
        if isinstance(failure, Missing):
            lack(failure)
        if failure is not None:
            raise failure
        return self._running[name]

    def close(self) -> None:
        """Stops all servers."""
        self._stack.close()

    def _start(self, name: str) -> Engine:
        module = cast("EngineModule", importlib.import_module(f"servers.{name}"))
        url = os.environ.get(f"GUIDKEEP_TEST_{name.upper()}_URL")
        if url:
            return module.at(url)
        folder = self._folder / name
        folder.mkdir()
        return self._stack.enter_context(module.started(folder))


def lack(missing: object) -> NoReturn:
    """Skips the test, or fails it in CI, because something is not installed."""
    reason = f"{missing} (make servers installs all)"
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@contextmanager
def here(starting: AbstractContextManager[Started]) -> Iterator[Started]:
    """Starts a server for one test; if it is missing, skips the test, or fails it in CI."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(starting)
        except Missing as missing:
            lack(missing)
        yield started
