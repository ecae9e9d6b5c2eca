"""Real proxies, in front of a service and of a store."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from servers.processes import Missing, Running, free_port, listens, program
from tests.engines import lack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

_COMPRESSING = """
worker_processes 1; daemon off; pid nginx.pid; error_log stderr crit; %s
events { }
http {
    access_log off;
    client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d;
    scgi_temp_path e;
    proxy_pass_header Date;  # the service's own, by its clock
    gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;
    server { listen 127.0.0.1:%d; location / { proxy_pass %s; proxy_http_version 1.1; } }
}
"""


@contextmanager
def compressed(folder: Path, address: str) -> Iterator[str]:
    """Starts an nginx that compresses in front of `address`; yields its URL. Skips without it."""
    port = free_port()
    text = _COMPRESSING % ("user root;" if os.geteuid() == 0 else "", port, address)
    (folder / "conf").write_text(text)
    with ExitStack() as opened:
        try:
            command = [program("nginx", package="nginx"), "-p", str(folder), "-e", "stderr"]
        except Missing as missing:
            lack(missing)
        process = opened.enter_context(Running([*command, "-c", "conf"], folder=folder))
        process.wait_for(lambda: listens(port), "listens")
        yield f"http://127.0.0.1:{port}"


class Cutter(ABC):
    """A proxy in front of a store's server that breaks a client's connection at a chosen message.

    Attributes:
        url: the store's URL through the proxy, while it listens.
    """

    def __init__(self, url: str) -> None:
        self.url = ""
        self._server = urlsplit(url)
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Self]:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        place = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        login, at, _ = self._server.netloc.rpartition("@")
        self.url = self._server._replace(netloc=f"{login}{at}{place}").geturl()
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
        there, back = await asyncio.open_connection(self._server.hostname, self._server.port)
        try:
            await self._relay(reader, writer, there, back)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()
            back.close()
            self._tasks.discard(task)

    @abstractmethod
    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        """Passes messages on in both ways, until the connection is to break.

        Args:
            reader: reads from the client.
            writer: writes to the client.
            there: reads from the server.
            back: writes to the server.
        """
