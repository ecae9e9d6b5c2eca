"""In this folder `opener` and `store` are MySQL's, and tests may break servers."""

from __future__ import annotations

import signal
import subprocess
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from guidkeep.metrics import Metrics
from guidkeep.stores.mysql.store import MySQLStore
from servers import mysql
from tests.engines import here

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.engines import Engines


@pytest.fixture
def server(engines: Engines) -> mysql.Server:
    """The server that all tests share."""
    return cast("mysql.Server", engines.get("mysql"))


@pytest.fixture
def new_url(server: mysql.Server) -> Callable[[], str]:
    return server.fresh


@pytest.fixture(scope="module")
def rough(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[mysql.MariaDB]:
    """A server that a test may stop, kill and start again, and leaves running."""
    engines.get("mysql")  # skips, or fails, if it is not installed
    with here(mysql.started(tmp_path_factory.mktemp("rough"))) as running:
        yield running


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Makes a self-signed certificate for 127.0.0.1, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def narrow(server: mysql.Server, url: str, connections: int) -> str:
    """Returns the URL for a user who may have that number of connections to the database."""
    name = name_of(url)
    server.run(
        f"GRANT ALL ON {name}.* TO '{name}'@'%' IDENTIFIED BY '{mysql.PASSWORD}' "
        f"WITH MAX_USER_CONNECTIONS {connections}"
    )
    return url.replace("//guidkeep:", f"//{name}:")


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


def sessions(server: mysql.Server, url: str) -> list[str]:
    """Returns the ids of the open connections to the database."""
    asked = f"SELECT id FROM information_schema.PROCESSLIST WHERE db = '{name_of(url)}'"
    return server.run(asked).split()


async def another(store: MySQLStore) -> Any:
    """Returns another connection of asyncmy to the same database, without autocommit."""
    adapter: Any = store._pool._adapter
    return await adapter._connect(**{**adapter._options, "autocommit": False})


@asynccontextmanager
async def locked(store: MySQLStore, statement: str) -> AsyncIterator[None]:
    """Runs a statement in another's transaction, which stays open."""
    other = await another(store)
    await other.query(statement)
    try:
        yield
    finally:
        await other.rollback()
        await other.ensure_closed()


@pytest.fixture
async def opened(new_url: Callable[[], str]) -> AsyncIterator[MySQLStore]:
    store = await MySQLStore.open(new_url(), timeout=5.0, metrics=Metrics())
    yield store
    await store.close()


@contextmanager
def hanging(server: mysql.MariaDB) -> Iterator[None]:
    """Stops the server from responding; its connections stay."""
    process = server.process
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)
