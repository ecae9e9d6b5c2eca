"""Servers for these tests."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from guidkeep.http.connection import protocol
from tests.support import Clock, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines import Engines


@pytest.fixture(scope="package", params=["memory", "redis"])
def address(
    request: pytest.FixtureRequest, engines: Engines, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A shared server with the default settings; each test uses its own GUIDs.

    Once with the memory cache, and once with Redis, which serves hits in another way.
    """
    store = tmp_path_factory.mktemp("server") / "guidkeep.db"
    cache = "memory://" if request.param == "memory" else engines.get("redis").fresh()
    with served(store=f"sqlite:///{store}", cache=cache) as running:
        yield running.address


@pytest.fixture
def guid() -> str:
    return uuid4().hex.upper()


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a store for this test alone."""
    return f"sqlite:///{tmp_path / 'guidkeep.db'}"


@pytest.fixture
def watch_clock(watchful: None, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which servers in this process watch their connections; it stands still."""
    clock = Clock(perf_counter())
    monkeypatch.setattr(protocol, "perf_counter", clock)
    return clock


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes servers in this process check their connections twenty times a second, not once."""
    monkeypatch.setattr(protocol, "WATCH_INTERVAL", 0.05)
