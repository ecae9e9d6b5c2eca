"""Writes lines to a stream that may have no reader, without blocking.

A pipe without a reader is full after 64 KiB, and then a write blocks for ever. So the event loop
never writes to the stream. A thread does, from a bounded queue. A line that does not fit into the
queue is dropped and counted, and a line in its place gives the number of dropped lines.
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
"""Maximum bytes in the queue."""
PIECE = 1 << 16
"""Approximate bytes per write."""
MOMENT = 0.1
"""Seconds at most that printing a line on standard output waits for a reader."""


class BackgroundWriter:
    """Writes lines on a thread; see the module's text.

    Args:
        descriptor: the stream's descriptor. It is duplicated; `close` closes the duplicate.
        lost: returns the line that reports a number of dropped lines.
        limit: maximum bytes in the queue.
    """

    def __init__(
        self, descriptor: int, lost: Callable[[int], bytes], *, limit: int = LIMIT
    ) -> None:
        self._descriptor = os.dup(descriptor)
        self._lost = lost
        self._limit = limit
        self._waiting: deque[bytes | int] = deque()
        """The queue: lines, and numbers of dropped lines in their place."""
        self._size = 0
        """Bytes of the lines in the queue or being written."""
        self._failed = 0
        """The number of lines that could not be written and are not reported yet."""
        self._is_idle = True
        self._is_closed = False
        self._changed = threading.Condition()
        # In the creator's context: its variables belong into the line about dropped lines.
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._run,), name="writer", daemon=True).start()

    def write(self, line: bytes) -> None:
        """Queues a line, which includes its line break; returns at once."""
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
        """Waits until all lines are written, or for `seconds`; returns whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_idle and not self._waiting, seconds)

    def close(self) -> None:
        """Ends the thread once all lines are written. Queue nothing after that."""
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
            except OSError:  # the reader is gone, or the disk is full: later lines may succeed
                self._failed += sum(item if isinstance(item, int) else 1 for item in taken)
            with self._changed:
                self._size -= sum(len(item) for item in taken if isinstance(item, bytes))
        os.close(self._descriptor)

    def _next(self) -> list[bytes | int]:
        """Takes the next lines from the queue; empty once it is closed."""
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
            except BlockingIOError:  # another process made the shared stream non-blocking
                waiting = select.poll()
                waiting.register(self._descriptor, select.POLLOUT)
                waiting.poll()


def say(line: str) -> None:
    """Prints a line on standard output; waits for a reader for `MOMENT` at most."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # a buffer in memory, which never blocks
        print(line, flush=True)  # noqa: T201 - printing is its purpose
        return
    writer = BackgroundWriter(descriptor, lambda _: b"")
    writer.write(f"{line}\n".encode(sys.stdout.encoding, "backslashreplace"))
    writer.flush(MOMENT)
    writer.close()
