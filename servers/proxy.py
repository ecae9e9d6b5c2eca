"""A TCP proxy between two parts of a system, to simulate failures of the network between them.

It forwards bytes, until one of these is called:

    cut    connections are reset, and new ones refused;
    hold   nothing is forwarded either way; bytes are kept, and forwarded after `heal`;
    delay  each piece is forwarded later, by the given time.

It runs in its own thread, with its own event loop.
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
    """See the module's text. Listens on a free port of 127.0.0.1 during the `with` block.

    Args:
        port: the port of 127.0.0.1 that connections are forwarded to.
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
        """A proxy in front of the URL's server; the URL has a port."""
        port = urlsplit(url).port
        if port is None:
            raise ValueError(f"a URL without a port: {url}")
        return cls(port)

    def url(self, direct: str) -> str:
        """The URL with the proxy's address."""
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
        """Keeps the bytes that are sent from now on."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def delay(self, seconds: float) -> None:
        """Forwards each piece later, by `seconds`."""
        self._seconds = seconds

    def heal(self) -> None:
        """Forwards again, the kept bytes first."""
        self._seconds = 0.0
        self._run(self._heal())

    def _live(self) -> None:
        """Runs in the thread."""
        self._loop.run_forever()
        self._loop.run_until_complete(self._close())  # connections accepted meanwhile
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
            pass  # cancelled by `_end`: the accepting server must not see it
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
        """Forwards one direction to its end, and the end itself."""
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
    """Resets the connection, like a machine that does not know it."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
