"""A TCP proxy between two parts of a system, for failures of the network between them.

It forwards bytes, until it is told otherwise:

    cut    connections are reset, and new ones refused;
    hold   nothing is forwarded either way; what was sent is kept, and goes on when it heals;
    delay  each piece is forwarded so much later.

It runs in a thread of its own, with an event loop of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Coroutine

PIECE = 65_536
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: on, no time: closing resets."""


class Proxy:
    """See the module's text. Listens on a free port of 127.0.0.1 as long as the `with` block lasts.

    Args:
        port: of 127.0.0.1, where the connections go.
    """

    _loop: asyncio.AbstractEventLoop
    _thread: threading.Thread

    def __init__(self, port: int) -> None:
        self.port = 0
        self._target = port
        self._server: asyncio.Server | None = None
        self._flows: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self._seconds = 0.0

    @classmethod
    def before(cls, url: str) -> Self:
        """A proxy before the server that the URL names, port included."""
        port = urlsplit(url).port
        if port is None:
            raise ValueError(f"a URL without a port: {url}")
        return cls(port)

    def url(self, direct: str) -> str:
        """That URL, by way of the proxy."""
        parts = urlsplit(direct)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{self.port}"))

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name=f"proxy to {self._target}")
        self._thread.start()
        self._run(self._listen())
        self._open.set()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> None:
        """Resets all connections and refuses new ones."""
        self._run(self._close())

    def hold(self) -> None:
        """Keeps what is sent from now on."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def delay(self, seconds: float) -> None:
        """Forwards each piece that much later."""
        self._seconds = seconds

    def heal(self) -> None:
        """Forwards again, first of all what was kept."""
        self._seconds = 0.0
        self._run(self._heal())

    def _live(self) -> None:
        """The thread's."""
        self._loop.run_forever()
        self._loop.run_until_complete(self._close())  # who was accepted meanwhile
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _heal(self) -> None:
        if self._server is None:
            await self._listen()
        self._open.set()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            _reset(writer)
        flows = list(self._flows)
        for flow in flows:
            flow.cancel()
        await asyncio.gather(*flows, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flow = cast("asyncio.Task[None]", asyncio.current_task())
        self._flows.add(flow)
        self._writers.add(writer)
        try:
            await self._open.wait()
            await self._connect(reader, writer)
        except OSError:
            _reset(writer)
        except asyncio.CancelledError:
            pass  # as it was told to: the server that accepts must not hear of it
        finally:
            writer.close()
            self._writers.discard(writer)
            self._flows.discard(flow)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.add(back)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(reader, back))
                both.create_task(self._forward(there, writer))
        finally:
            back.close()
            self._writers.discard(back)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, to its end; the end of a direction is forwarded too."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        async def receive() -> None:
            piece = b"?"
            while piece:
                try:
                    piece = await reader.read(PIECE)
                except OSError:
                    piece = b""
                pieces.put_nowait((loop.time(), piece))

        receiving = asyncio.create_task(receive())
        try:
            with contextlib.suppress(OSError):
                await self._deliver(pieces, writer)
        finally:
            receiving.cancel()

    async def _deliver(
        self, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            since, piece = await pieces.get()
            await asyncio.sleep(since + self._seconds - asyncio.get_running_loop().time())
            await self._open.wait()
            if not piece:
                writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends the connection as a machine does that knows nothing of it."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
