"""The figures of several workers, told by whichever of them is asked.

A connection to the port reaches one worker, a scrape too. So each worker tells its own figures on a
socket that only processes of this machine reach, and the one that is asked gathers them. Each
series has the label `worker`, for a sum would fall when a worker is replaced, and Prometheus takes
a counter that falls for one that began again at zero.

The sockets have abstract names (unix(7)): nothing is left of them, however a worker ends. Such a
name has no permissions, and /proc/net/unix shows it to everybody. So both sides ask the kernel who
is at the other end: another user is told nothing, and is believed nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from guidkeep.metrics import Metrics

CREDENTIALS = "3i"
"""Process, user and group: what the kernel says of the other end (unix(7), SO_PEERCRED)."""
PATIENCE = 1.0
"""Seconds that a worker has to tell its figures; without them goes who has none."""


@contextlib.asynccontextmanager
async def shared_figures(
    metrics: Metrics, number: int, names: Sequence[str]
) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
    """Tells this worker's figures to the others; yields what gathers those of all.

    Args:
        metrics: this worker's.
        number: which of the workers it is, from 0.
        names: of the sockets, one a worker.
    """

    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if _is_ours(writer.get_extra_info("socket")):
            with contextlib.suppress(OSError):  # it did not wait
                writer.write(metrics.text())
                await writer.drain()
        writer.close()

    async def gather() -> bytes:
        texts = await asyncio.gather(
            *(metrics.tell() if at == number else _ask(name) for at, name in enumerate(names))
        )
        return merged({at: text for at, text in enumerate(texts) if text is not None})

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(names[number])
    async with await asyncio.start_unix_server(tell, sock=listener):
        yield gather


def merged(texts: Mapping[int, bytes]) -> bytes:
    """Several workers' figures in Prometheus' text format, by their numbers, as one such text.

    The samples of a family stand together there, under its HELP and TYPE. They are text all the
    way: to make the library's objects of some thousand lines holds the event loop up for long.
    """
    families: dict[bytes, list[bytes]] = {}
    for number, text in texts.items():
        label = b'worker="%d"' % number
        for family in (b"\n" + text.rstrip(b"\n")).split(b"\n# HELP ")[1:]:
            about, kind, *samples = family.split(b"\n")  # in help and labels it is escaped
            lines = families.setdefault(b"# HELP %b\n%b\n" % (about, kind), [])
            lines += [_labelled(sample, label) for sample in samples]
    return b"".join([part for head, lines in families.items() for part in (head, *lines)])


def _labelled(sample: bytes, label: bytes) -> bytes:
    name, _, rest = sample.partition(b"{")
    if b" " not in name:
        return b"%b{%b,%b\n" % (name, label, rest)
    name, _, rest = sample.partition(b" ")  # it has no labels; its exemplar may
    return b"%b{%b} %b\n" % (name, label, rest)


async def _ask(name: str) -> bytes | None:
    """What the worker of that name tells; None: it is not there, or does not answer."""
    with contextlib.suppress(OSError, TimeoutError), socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        async with asyncio.timeout(PATIENCE):
            connection.connect(name)  # at once, or not at all: the queue is full
            if _is_ours(connection):
                return await _until_closed(connection)
    return None


def _is_ours(connection: socket.socket) -> bool:
    """Whether the process at the other end is the same user's."""
    size = struct.calcsize(CREDENTIALS)
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, user, _ = struct.unpack(CREDENTIALS, told)
    return bool(user == os.geteuid())


async def _until_closed(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    pieces = []
    while piece := await loop.sock_recv(connection, 65_536):
        pieces.append(piece)
    return b"".join(pieces)
