"""Lines for a stream that may have no reader.

A pipe that nobody empties is full after 64 KiB, and a write to it then waits for ever. The event
loop never writes to one: a thread does, from a queue that is bounded. A line that finds no room is
dropped and counted, and a line in its place says how many were.
"""

from __future__ import annotations

import contextvars
import os
import select
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 1 << 20
"""Bytes that wait at most."""
PIECE = 1 << 16
"""Bytes that are written at once, about."""
MOMENT = 0.1
"""Seconds that `say` waits for a reader."""


class BackgroundWriter:
    """See the module's text.

    Args:
        descriptor: of the stream. A duplicate of it is used, and closed by `close`.
        lost: makes the line that stands for so many lines.
        limit: bytes that wait at most.
    """

    def __init__(
        self, descriptor: int, lost: Callable[[int], bytes], *, limit: int = LIMIT
    ) -> None:
        self._descriptor = os.dup(descriptor)
        self._lost = lost
        self._limit = limit
        self._waiting: deque[bytes | int] = deque()
        """Lines, and in the place of lines that were dropped their number."""
        self._size = 0
        """Bytes of the lines that wait or are being written."""
        self._failed = 0
        """Lines that the system refused to write, and that no line has told of."""
        self._is_idle = True
        self._is_closed = False
        self._changed = threading.Condition()
        # With the context of whoever starts it, which is a part of the line about lost ones.
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._run,), name="writer", daemon=True).start()

    def write(self, line: bytes) -> None:
        """Hands over a line, with its end; returns at once."""
        with self._changed:
            if self._size + len(line) <= self._limit:
                self._waiting.append(line)
                self._size += len(line)
            elif self._waiting and isinstance(self._waiting[-1], int):
                self._waiting[-1] += 1
            else:
                self._waiting.append(1)
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Waits until all is written, so long at most; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_idle and not self._waiting, seconds)

    def close(self) -> None:
        """Ends the thread once all is written. Nothing is handed over after that."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while taken := self._next():
            lines = [self._lost(item) if isinstance(item, int) else item for item in taken]
            if self._failed:
                lines.insert(0, self._lost(self._failed))
            try:
                self._send(b"".join(lines))
                self._failed = 0
            except OSError:  # the reader is gone, or the disk is full: the next may fare better
                self._failed += sum(item if isinstance(item, int) else 1 for item in taken)
            with self._changed:
                self._size -= sum(len(item) for item in taken if isinstance(item, bytes))
        os.close(self._descriptor)

    def _next(self) -> list[bytes | int]:
        """The next lines; none when it is closed."""
        with self._changed:
            self._is_idle = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            self._is_idle = False
            taken: list[bytes | int] = []
            size = 0
            while self._waiting and size < PIECE:
                item = self._waiting.popleft()
                taken.append(item)
                size += len(item) if isinstance(item, bytes) else 0
            return taken

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody who shares the stream wants it like that
                waiting = select.poll()
                waiting.register(self._descriptor, select.POLLOUT)
                waiting.poll()


def say(line: str) -> None:
    """Prints a line on standard output; does not wait for a reader for more than a moment."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # it is memory, which has no reader to wait for
        print(line, flush=True)  # noqa: T201 - that is what it is for
        return
    writer = BackgroundWriter(descriptor, lambda _: b"")
    writer.write(f"{line}\n".encode(sys.stdout.encoding, "backslashreplace"))
    writer.flush(MOMENT)
    writer.close()
