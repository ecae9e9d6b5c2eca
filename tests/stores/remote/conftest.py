"""A pool on an adapter whose server is scripted by the test."""

from __future__ import annotations

import pytest

from guidkeep.stores.remote import pool as pools
from guidkeep.stores.remote.pool import Pool
from guidkeep.system.backoff import Backoff
from tests.stores.remote.scripted import SOON, Server


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "RESEND", Backoff(0.0, 0.0))


@pytest.fixture
async def pool(server: Server) -> Pool[str, str]:
    return Pool(server, size=2, timeout=SOON)
