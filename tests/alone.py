"""A plugin of pytest: `--alone` runs what needs nothing but this process, for the inner loop.

Nobody keeps a list of those tests. A test that starts a process, or asks for a server, is skipped
when it does so: there is no database, no browser and no second Python. In a task or a callback the
skip would not reach the test, so such a test has the mark `processes`. Tests by examples draw few.
What is promised over every pair of store and cache is tried over one of them, in a live server.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

OPTION = "--alone"
STARTS = frozenset(("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"))
"""What CPython, and uvloop, tell of the start of a process: see `sys.audit`."""
EXAMPLES = 10
PAIR = "sqlite memory"
"""The pair of store and cache; see the fixture `api` of `tests.http`."""

_NO_SERVER = f"needs a server, and {OPTION} has none"
_NO_PROCESS = f"starts a process, and {OPTION} starts none"


class _State:
    """Of this process, whose audit hook can't be removed.

    Attributes:
        is_on: whether the option was given.
        is_testing: whether a test runs: what pytest starts itself, as its workers, is allowed.
    """

    is_on = False
    is_testing = False


def pytest_addoption(parser: pytest.Parser) -> None:
    """Makes the option known."""
    parser.addoption(OPTION, action="store_true", help="skip what needs another process")


def pytest_configure(config: pytest.Config) -> None:
    """Listens for starts of processes, if that is asked for."""
    if config.getoption(OPTION):
        _State.is_on = True
        settings.register_profile("alone", settings.default, max_examples=EXAMPLES)
        settings.load_profile("alone")
        sys.addaudithook(_notice)
        config.pluginmanager.register(_Tests())


class _Tests:
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        others = [item for item in items if _pair_of(item) not in (None, PAIR)]
        tried = {_test_of(item) for item in items if _pair_of(item) == PAIR}
        left_out = {item for item in others if _test_of(item) in tried}
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        _State.is_testing = True
        try:
            return (yield)
        finally:
            _State.is_testing = False


def skip_if_alone() -> None:
    """Skips the test that is about to ask for a server, though that may run already."""
    if _State.is_on:
        pytest.skip(_NO_SERVER)


def _pair_of(item: pytest.Item) -> object:
    return item.callspec.params.get("api") if hasattr(item, "callspec") else None


def _test_of(item: pytest.Item) -> tuple[object, str]:
    return item.parent, getattr(item, "originalname", item.name)


def _notice(event: str, _: object) -> None:
    if event in STARTS and _State.is_testing:
        pytest.skip(_NO_PROCESS)
