"""Both ends of a connection with small buffers, without a server."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.server import ServerState

from guidkeep.http.connection.context import ConnectionContext
from guidkeep.http.connection.protocol import GuidkeepProtocol
from guidkeep.http.cross_site import CrossSitePolicy
from guidkeep.http.hosts import Hosts
from guidkeep.metrics import Metrics
from guidkeep.settings import Settings
from tests.support import iterations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class App:
    """An application that responds to a request when the test releases it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._told = asyncio.Semaphore(0)

    def answer(self, count: int = 1) -> None:
        """Releases the responses to a number of requests."""
        for _ in range(count):
            self._told.release()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        await self._told.acquire()
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


class Ends:
    """The server's end, the client's socket, and the application."""

    def __init__(self, server: GuidkeepProtocol, client: socket.socket, app: App) -> None:
        self.server = server
        self.client = client
        self.app = app

    def is_open(self) -> bool:
        return self.server in self.server.connections

    def is_stalled(self) -> bool:
        return self.server.stalled_since is not None


@asynccontextmanager
async def both_ends(
    *, hit: Callable[[str], bytes | None] | None = None, send_buffer: int = 4096, **settings: Any
) -> AsyncIterator[Ends]:
    """A connection.

    Args:
        hit: returns responses from the cache.
        send_buffer: bytes that the kernel takes before the client reads.
        settings: those that differ from the defaults.
    """
    app = App()
    config = uvicorn.Config(app, lifespan="off", log_config=None, ws="none")
    config.load()
    context = ConnectionContext(
        settings=Settings(**settings),
        hit=hit,
        metrics=Metrics(),
        hosts=Hosts((), bound="guids.example"),
        cross_site=CrossSitePolicy(),
        health=frozenset(),
    )
    theirs, ours = socket.socketpair()
    ours.setblocking(False)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    loop = asyncio.get_running_loop()
    _, made = await loop.connect_accepted_socket(
        lambda: GuidkeepProtocol(config, ServerState(), {}, context=context), theirs
    )
    try:
        yield Ends(made, ours, app)
    finally:
        ours.close()
        made.transport.abort()
        app.answer(100)
        await iterations()
