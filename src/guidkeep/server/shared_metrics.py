"""The metrics of several workers, gathered by the worker that serves the request.

A connection to the port reaches one worker, and so does a scrape. So each worker has a socket on
which it sends its own numbers (see `guidkeep.metrics.Numbers`) as JSON. The worker that serves the
scrape gathers the numbers of all.

The sockets have abstract names (unix(7)), so no file is left over, however a worker ends. Such a
name has no permissions, and every user sees it in /proc/net/unix. So both sides ask the kernel for
the user at the other end, and ignore a process of another user.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from guidkeep.metrics import Gathered, Metrics, Numbers

CREDENTIALS = "3i"
"""Process, user and group of the process at the other end (unix(7), SO_PEERCRED)."""
PATIENCE = 1.0
"""Seconds that a worker has to send its numbers. A worker that does not respond in time is left
out."""


@contextlib.asynccontextmanager
async def shared_metrics(
    metrics: Metrics, number: int, names: Sequence[str]
) -> AsyncIterator[Callable[[], Awaitable[Gathered]]]:
    """Sends this worker's numbers to the others; yields the function that gathers those of all.

    Args:
        metrics: this worker's metrics.
        number: this worker's number, from 0.
        names: the names of the sockets, one for each worker.
    """

    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if _is_ours(writer.get_extra_info("socket")):
            with contextlib.suppress(OSError):  # the other worker has closed the connection
                writer.write(json.dumps(metrics.numbers()).encode())
                await writer.drain()
        writer.close()

    async def gather() -> Gathered:
        others = {at: _ask(name) for at, name in enumerate(names) if at != number}
        found = dict(zip(others, await asyncio.gather(*others.values()), strict=True))
        found[number] = metrics.numbers()
        return {at: numbers for at, numbers in sorted(found.items()) if numbers is not None}

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(names[number])
    async with await asyncio.start_unix_server(send, sock=listener):
        yield gather


async def _ask(name: str) -> Numbers | None:
    """Returns the numbers of the worker with that socket; None: it does not respond."""
    # ValueError: the worker ended before it had sent all of its numbers.
    with (
        contextlib.suppress(OSError, TimeoutError, ValueError),
        socket.socket(socket.AF_UNIX) as connection,
    ):
        connection.setblocking(False)
        async with asyncio.timeout(PATIENCE):
            connection.connect(name)  # connects at once, or fails: the queue is full
            if _is_ours(connection):
                numbers: Numbers = json.loads(await _until_closed(connection))
                return numbers
    return None


def _is_ours(connection: socket.socket) -> bool:
    """Whether the process at the other end belongs to the same user."""
    size = struct.calcsize(CREDENTIALS)
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, user, _ = struct.unpack(CREDENTIALS, credentials)
    return bool(user == os.geteuid())


async def _until_closed(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    pieces = []
    while piece := await loop.sock_recv(connection, 65_536):
        pieces.append(piece)
    return b"".join(pieces)
