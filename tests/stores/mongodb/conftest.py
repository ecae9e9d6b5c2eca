"""In this folder `opener` and `store` are MongoDB's; `server` is for one test alone."""

from __future__ import annotations

from asyncio.selector_events import BaseSelectorEventLoop
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from guidkeep.metrics import Metrics
from guidkeep.stores.mongodb.store import MongoDBStore
from servers.mongodb import started
from tests.proxies import Cutter

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path
    from socket import socket

    from servers.mongodb import MongoDB
    from tests.engines import Engines

COMMAND_AT = 26
"""The position of the command's name in a request: after header, flags and start of a document."""


@pytest.fixture(autouse=True)
def no_socket_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closes the socket that PyMongo 4.20 leaves open when a client closes while it connects.

    The client keeps trying to reach an unreachable server, so the fault may show in any test. It is
    known (PYTHON-5867), and leaves one socket of a closed client.
    """
    connect = BaseSelectorEventLoop.sock_connect

    def connect_or_close(
        loop: BaseSelectorEventLoop, sock: socket, address: Any
    ) -> asyncio.Task[None]:
        connecting = loop.create_task(connect(loop, sock, address))
        connecting.add_done_callback(lambda done: sock.close() if done.cancelled() else None)
        return connecting

    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", connect_or_close)


@pytest.fixture
def new_url(engines: Engines) -> Callable[[], str]:
    return engines.get("mongodb").fresh


@pytest.fixture
def server(engines: Engines, tmp_path: Path) -> Iterator[MongoDB]:
    """A server that the test may kill or stop."""
    engines.get("mongodb")  # skips the test if it is not built
    with started(tmp_path) as running:
        yield running


@asynccontextmanager
async def opened(
    url: str, *, timeout: float = 5.0, metrics: Metrics | None = None
) -> AsyncIterator[MongoDBStore]:
    """The store, with its own class as type."""
    store = await MongoDBStore.open(url, timeout=timeout, metrics=metrics or Metrics())
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[Any]:
    """Yields the database itself."""
    client: Any = pymongo.AsyncMongoClient(url)
    try:
        yield client.get_default_database()
    finally:
        await client.close()


class CommandCutter(Cutter):
    """Passes a command on to the server, and then breaks the client's connection.

    Attributes:
        command: the command whose response is lost.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.command = b""

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        while True:
            request = await self._message(reader)
            back.write(request)
            response = await self._message(there)
            if self.command and request.startswith(self.command + b"\0", COMMAND_AT):
                return
            writer.write(response)

    async def _message(self, reader: asyncio.StreamReader) -> bytes:
        length = await reader.readexactly(4)
        return length + await reader.readexactly(int.from_bytes(length, "little") - 4)


@pytest.fixture
async def cutter(new_url: Callable[[], str]) -> AsyncIterator[CommandCutter]:
    async with CommandCutter(new_url()).listening() as listening:
        yield listening
