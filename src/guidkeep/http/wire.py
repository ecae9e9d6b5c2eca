"""What connections share, and how answers get onto the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from guidkeep.http.requests import RECORD_ROUTE

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

    from guidkeep.metrics import Metrics, Tally
    from guidkeep.settings import Settings


@dataclass(slots=True)
class Wire:
    """What all connections of a server share.

    Attributes:
        settings: the limits.
        hit: returns the finished answer of a GUID, if it is at hand; None: all go the long way.
        metrics: where hits, and requests that never reach the application, are counted.
        peek: asks a cache on another machine for it, see `Cache.peek`; None: nobody does.
        draining: whether the server is about to stop.
    """

    settings: Settings
    hit: Callable[[str], bytes | None] | None
    metrics: Metrics
    peek: Callable[[str, Callable[[bytes | None], None]], bool] | None = None
    draining: bool = False
    hits: Tally = field(init=False)
    _headers: object = field(default=None, init=False)
    _preamble: bytes = field(default=b"", init=False)

    def __post_init__(self) -> None:
        self.hits = self.metrics.requests(RECORD_ROUTE, "GET", 200)

    def count_refusal(self, status: int) -> None:
        """Counts a request that was too broken, slow or large to become one."""
        self.metrics.requests("(none)", "other", status).observe(0)

    def preamble(self, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """The status line and the server's own headers, which change once a second."""
        if default_headers is not self._headers:
            self._headers = default_headers
            lines = [b"%b: %b\r\n" % header for header in default_headers]
            self._preamble = b"HTTP/1.1 200 OK\r\n" + b"".join(lines)
        return self._preamble


class Flow(FlowControl):
    """Reads no more requests while there are some that wait for their turn.

    uvicorn's goes on reading whenever an answer is complete, so a client that asks faster than it
    is answered, or does not read at all, would fill the memory with its requests.
    """

    def __init__(self, transport: asyncio.Transport, protocol: HttpToolsProtocol) -> None:
        super().__init__(transport)
        self._waiting = protocol.pipeline

    def resume_reading(self) -> None:
        """Reads on, unless requests wait."""
        if not self._waiting:
            super().resume_reading()


def send_whole(
    protocol: HttpToolsProtocol,
    cycle: RequestResponseCycle,
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
) -> bool:
    """Sends an answer in one write, to the same effect as the cycle's own two messages.

    Not to a client that does not read: the messages wait for it, which bounds what it is owed.
    """
    if protocol.flow.write_paused or cycle.disconnected or cycle.response_complete:
        return False
    lines = [b"%b: %b\r\n" % header for header in (*cycle.default_headers, *headers)]
    if not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
    cycle.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
    del cycle.scope["extensions"]  # it leads back to the cycle: garbage that is found late
    if not cycle.keep_alive:
        cycle.transport.close()
    complete(protocol, cycle)
    return True


def complete(protocol: HttpToolsProtocol, cycle: RequestResponseCycle) -> None:
    """Its answer is written, to the last byte."""
    cycle.response_started = cycle.response_complete = True
    cycle.message_event.set()
    protocol.on_response_complete()
