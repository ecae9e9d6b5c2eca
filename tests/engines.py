"""The real servers that tests run on: each started once a session, when a test first wants it.

A URL in the environment (`GUIDKEEP_TEST_MYSQL_URL`, ...) names a server that runs already. One that
is missing skips its own tests here, and fails them in CI.
"""

from __future__ import annotations

import importlib
import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol, cast

import pytest

from servers import ENGINES
from servers.processes import Missing
from tests.alone import skip_if_alone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import NoReturn, TypeVar

    Started = TypeVar("Started")

STORES = ("sqlite", *(engine.name for engine in ENGINES if engine.store))
"""What the contract of stores is run on: SQLite, and the engines that serve a store."""
CACHES = ("memory", "none", *(engine.name for engine in ENGINES if engine.cache))
"""What the contract of caches is run on."""
SINGLE = tuple(engine.name for engine in ENGINES if engine.store == engine.name)
"""Of the engines that serve a store one for each store."""


class Engine(Protocol):
    """A server, as its module in `servers` has it."""

    def fresh(self) -> str:
        """The URL of a new, empty place on it, for one test alone."""
        ...


class EngineModule(Protocol):
    """A module of `servers` that `servers.ENGINES` names."""

    def started(self, folder: Path) -> AbstractContextManager[Engine]:
        """A server of its own, with its data in that folder. Raises Missing."""
        ...

    def at(self, url: str) -> Engine:
        """A server that runs already."""
        ...


class Engines:
    """All that a session started, and what was missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, Engine] = {}
        self._missing: dict[str, str] = {}
        self._stack = ExitStack()

    def get(self, name: str) -> Engine:
        """That server; skips the test, or in CI fails it, where it is not installed."""
        skip_if_alone()
        if name not in self._running and name not in self._missing:
            try:
                self._running[name] = self._start(name)
            except Missing as missing:
                self._missing[name] = str(missing)
        if name in self._missing:
            lack(self._missing[name])
        return self._running[name]

    def close(self) -> None:
        """Ends them all."""
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
    """Skips the test, or in CI fails it, for something is not installed."""
    reason = f"{missing} (make servers installs all)"
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@contextmanager
def here(starting: AbstractContextManager[Started]) -> Iterator[Started]:
    """Starts a server of a test's own; skips the test, or in CI fails it, where it is missing."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(starting)
        except Missing as missing:
            lack(missing)
        yield started
