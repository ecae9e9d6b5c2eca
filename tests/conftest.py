"""Fixtures that all tests share."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings

from guidkeep import logs
from guidkeep.http.connection import protocol
from guidkeep.server import server
from tests.engines import Engines
from tests.support import Clock, make_registry, opened_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from guidkeep.registry.registry import Registry
    from guidkeep.stores import Store


# A busy machine is no failure: how fast examples are made and run is not what the tests are about.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Spares the garbage collector the thousands of tests, which it would look at over and over."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Measures no coverage in thorough tests, which it slows by half: others cover the same.

    pytest-cov's `no_cover` has no effect in the processes of pytest-xdist, where two measurements
    run: it stops one, and the other goes on.
    """
    if item.get_closest_marker("thorough") is None:
        return (yield)
    tracers = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        threading.settrace(tracers[1])
        sys.settrace(tracers[0])


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Restores the process's logging after a test, whose stream is closed by then."""
    loggers = [logging.getLogger(name) for name in (None, *logs.LIBRARIES)]
    handlers, levels = loggers[0].handlers[:], [logger.level for logger in loggers]
    configured = structlog.get_config()
    yield
    for handler in set(loggers[0].handlers) - set(handlers):
        handler.close()
    loggers[0].handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    structlog.configure(**configured)


@pytest.fixture(autouse=True, scope="session")
def brisk() -> Iterator[None]:
    """Servers of this process that stop do not wait long for clients that could not know yet."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(protocol, "DRAIN_GRACE", 0.02)
        patched.setattr(server, "DRAIN_GRACE", 0.02)
        yield


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Real servers; see `tests.engines`."""
    running = Engines(tmp_path_factory.mktemp("engines"))
    yield running
    running.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened_store(tmp_path / "guidkeep.db") as opened:
        yield opened


@pytest.fixture
async def registry(store: Store, clock: Clock) -> AsyncIterator[Registry]:
    made = make_registry(store, clock=clock)
    yield made
    await made.close()
