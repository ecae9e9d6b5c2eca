"""Unread parts of a response: a little in memory, the rest in a file.

A client may send everything before it reads anything; many HTTP libraries do. The response fills
the sockets' buffers. If the server then waited for the client to read, and the client for the
server to read, both would wait for ever. So the server spools the unread part to a file on the disk
without a name, which is gone when it is closed, even by the end of the process.

All requests together have a limited space on the disk (`SpoolSpace`). When it is used up, or the
disk is full, `put` waits for the client.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import suppress
from typing import IO, TYPE_CHECKING

import structlog

from guidkeep.system.tasks import on_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

log = structlog.get_logger(__name__)

IN_MEMORY = 256 * 1024
"""Bytes in memory; one piece may exceed them."""
PIECE = 256 * 1024
"""Bytes that are read from the file at once."""
TICK = 1.0
"""Seconds between two checks for space, while a `put` waits."""


class SpoolSpace:
    """The bytes that may still be written to the disk."""

    def __init__(self, size: int) -> None:
        self.left = size


class Spool:
    """A queue of bytes, from one writer to one reader.

    Args:
        space: the shared space on the disk.
        tell: called with False when there is no space left, and with True when there is again.
    """

    def __init__(self, space: SpoolSpace, tell: Callable[[bool], None]) -> None:
        self._space = space
        self._tell = tell
        self._pieces: list[bytes] = []
        self._size = 0
        self._file: IO[bytes] | None = None
        self._written = self._read = 0
        self._disk = asyncio.Lock()
        self._came = asyncio.Event()
        self._went = asyncio.Event()
        self._is_over = False
        self._is_closed = False

    async def put(self, data: bytes) -> None:
        """Adds data; if there is no space, waits until the reader has taken some."""
        while self._written or self._size >= IN_MEMORY:
            self._went.clear()
            if await self._spill(data):
                self._tell(True)
                return
            self._tell(False)
            with suppress(TimeoutError):  # other requests may have given space back
                async with asyncio.timeout(TICK):
                    await self._went.wait()
        self._tell(True)
        self._pieces.append(data)
        self._size += len(data)
        self._came.set()

    def end(self) -> None:
        """Called when no more data will be added."""
        self._is_over = True
        self._came.set()

    async def take(self) -> AsyncGenerator[bytes, None]:
        """Yields all data in order, as soon as it is there. The caller must close the generator."""
        try:
            while True:
                if self._pieces:
                    data = b"".join(self._pieces)
                    self._pieces.clear()
                    self._size = 0
                elif self._written:
                    data = await self._unspill()
                elif self._is_over:
                    break
                else:
                    self._came.clear()
                    await self._came.wait()
                    continue
                self._went.set()
                yield data
        finally:
            await self._close()

    async def _spill(self, data: bytes) -> bool:
        """Writes the data to the disk, if there is space; returns whether it did."""
        async with self._disk:
            if self._is_closed or self._space.left < len(data):
                return False
            self._space.left -= len(data)
            try:
                await on_thread(self._write, data)
            except BaseException as error:  # a cancellation too
                self._space.left += len(data)
                if not isinstance(error, OSError):
                    raise
                log.warning("responses can't be held on the disk", error=error.strerror)
                return False
            self._written += len(data)
        self._came.set()
        return True

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="guidkeep-")  # noqa: SIM115 - closed by `take`
        at = self._written
        while data:
            done = os.pwrite(self._file.fileno(), data, at)
            at, data = at + done, data[done:]

    async def _unspill(self) -> bytes:
        """Returns the next data from the disk; after the last, gives the space back."""
        async with self._disk:
            file, size = self._file, min(PIECE, self._written - self._read)
            assert file is not None  # noqa: S101 - something was written
            data = await on_thread(os.pread, file.fileno(), size, self._read)
            self._read += len(data)
            if self._read == self._written:
                await on_thread(file.truncate, 0)
                self._space.left += self._written
                self._read = self._written = 0
            return data

    async def _close(self) -> None:
        async with self._disk:
            self._is_closed = True  # first: a thread may still want to write
            self._space.left += self._written
            self._written = self._read = 0
            if self._file is not None:
                self._file.close()
