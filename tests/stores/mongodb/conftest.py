"""In this folder `opener` and `store` are MongoDB's; `server` is for one test alone."""

from __future__ import annotations

import asyncio
from asyncio.selector_events import BaseSelectorEventLoop
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import pymongo
import pytest

from guidkeep.metrics import Metrics
from guidkeep.stores.mongodb.store import MongoDBStore
from servers.mongodb import started

if TYPE_CHECKING:
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


class Cutter:
    """A proxy that passes a command to the server and then closes the client's connection.

    Attributes:
        url: the store's URL through the proxy.
        command: the command whose response is lost.
    """

    def __init__(self, url: str) -> None:
        self.command = b""
        self._server = urlsplit(url)
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Cutter]:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        self.url = urlunsplit(self._server._replace(netloc=f"127.0.0.1:{port}"))
        try:
            yield self
        finally:
            listener.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there = await asyncio.open_connection(self._server.hostname, self._server.port)
        try:
            while True:
                request = await self._message(reader)
                there[1].write(request)
                response = await self._message(there[0])
                if self.command and request.startswith(self.command + b"\0", COMMAND_AT):
                    return
                writer.write(response)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            there[1].close()
            self._tasks.discard(task)

    async def _message(self, reader: asyncio.StreamReader) -> bytes:
        length = await reader.readexactly(4)
        return length + await reader.readexactly(int.from_bytes(length, "little") - 4)


@pytest.fixture
async def cutter(new_url: Callable[[], str]) -> AsyncIterator[Cutter]:
    async with Cutter(new_url()).listening() as listening:
        yield listening
