"""What connections share, and how answers get onto the wire."""

from __future__ import annotations

import resource
import socket
import struct
import sys
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from guidkeep.http.connection.gate import Gate
from guidkeep.http.memory import Memory
from guidkeep.http.requests import NO_ROUTE, RECORD_ROUTE
from guidkeep.http.responses import JSON, REVALIDATED, lines_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

    from guidkeep.http.connection.hits import HitsFirst
    from guidkeep.http.hosts import Hosts
    from guidkeep.http.sites import Sites
    from guidkeep.metrics import Metrics, Tally
    from guidkeep.settings import Settings

log = structlog.get_logger("guidkeep.http")

REFUSED = "guidkeep_refused_connections"

OTHER_DESCRIPTORS = 256
"""Open files that are no connections of clients: the store's, the cache's, and a margin."""
FEW_DESCRIPTORS = 32
"""So many that are left are few."""
LOG_AGAIN = 60.0
"""Seconds after which it is logged again that they are few."""


@dataclass(slots=True)
class Wire:
    """What all connections of a server share.

    Attributes:
        settings: the limits.
        hit: returns the finished answer of a GUID, if it is at hand; None: all go the long way.
        metrics: where hits, and requests that never reach the application, are counted.
        hosts: those that the server answers to.
        sites: whose pages may do what.
        health: the paths that are answered to connections beyond the limits too.
        peek: asks a cache on another machine for it, see `Cache.peek`; None: nobody does.
        draining: whether the server is about to stop.
        memory: the budget of bytes for all requests.
        gate: decides who may connect.
    """

    settings: Settings
    hit: Callable[[str], bytes | None] | None
    metrics: Metrics
    hosts: Hosts
    sites: Sites
    health: frozenset[str]
    peek: Callable[[str, Callable[[bytes | None], None]], bool] | None = None
    draining: bool = False
    memory: Memory = field(init=False)
    gate: Gate = field(init=False)
    hits: Tally = field(init=False)
    _descriptors: int = field(init=False)
    _logged_at: float = field(default=-LOG_AGAIN, init=False)
    _headers: object = field(default=None, init=False)
    _own_lines: bytes = field(default=b"", init=False)
    _preamble: bytes = field(default=b"", init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.hits = self.metrics.tally("guidkeep_request_seconds", RECORD_ROUTE, "GET", 200)
        self.memory = Memory(settings.max_memory)
        self._descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.gate = Gate(
            min(settings.max_connections, connections_within(self._descriptors)),
            settings.max_connections_per_client,
            partial(self.metrics.count, REFUSED),
        )

    def descriptors_are_short(self, transport: asyncio.Transport) -> bool:
        """Whether a new connection has taken one of the last descriptors.

        The loop itself says nothing when there are none: it closes what it can't accept. But the
        system always gives the lowest number that is free.
        """
        if transport.get_extra_info("socket").fileno() < self._descriptors - FEW_DESCRIPTORS:
            return False
        self.metrics.count(REFUSED, "descriptors")
        now = perf_counter()
        if now - self._logged_at >= LOG_AGAIN:
            self._logged_at = now
            log.error(
                "descriptors are running out",
                limit=self._descriptors,
                detail="New connections are closed. Raise the limit of open files (ulimit -n, "
                "LimitNOFILE), or lower --max-connections.",
            )
        return True

    def count_refusal(self, status: int) -> None:
        """Counts a request that was too broken, slow or large to become one."""
        self.metrics.tally("guidkeep_request_seconds", NO_ROUTE, "other", status).observe(0)

    def preamble(self, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """The status line and the headers that all hits have."""
        if default_headers is not self._headers:
            self._renew(default_headers)
        return self._preamble

    def own_lines(self, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """The server's own headers, as lines that are ready to be sent."""
        if default_headers is not self._headers:
            self._renew(default_headers)
        return self._own_lines

    def _renew(self, default_headers: list[tuple[bytes, bytes]]) -> None:
        """The date is another: once a second."""
        self._headers = default_headers
        self._own_lines = lines_of(default_headers)
        of_hits = lines_of([*JSON, *REVALIDATED.headers, *self.sites.common])
        self._preamble = b"HTTP/1.1 200 OK\r\n" + self._own_lines + of_hits


class Flow(FlowControl):
    """Reads no more while something that has arrived waits for its turn.

    uvicorn's goes on reading whenever an answer is complete, so a client that asks faster than it
    is answered, or does not read at all, would fill the memory with its requests.

    Attributes:
        has_rest: whether something waits.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.has_rest = False

    def resume_reading(self) -> None:
        """Reads on, unless something waits."""
        if not self.has_rest:
            super().resume_reading()


class Exchange:
    """A request and its answer, one of which may be of any length; see `http.requests.Exchange`.

    HTTP/1.0 knows no chunks: there the end of the connection is that of the answer (RFC 9112
    §6.3). uvicorn would send chunks all the same.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self.takes = False
        self.is_abandoned = False
        self._cycle = cycle
        self._reads_on = False
        self._has_chunks = cycle.scope["http_version"] != "1.0"
        if not self._has_chunks:
            cycle.chunked_encoding, cycle.expected_content_length = False, sys.maxsize

    @property
    def is_arriving(self) -> bool:
        """Whether there is more to come of a body that the application reads as it comes."""
        return self._reads_on and self._cycle.more_body and not self._cycle.response_complete

    def read_on(self) -> None:
        """The application reads the body as it comes, and sees to it that it does come."""
        self.takes = self._reads_on = True
        if self._cycle.body:
            self._cycle.message_event.set()  # until now it would have been told of the whole

    def has_left(self) -> bool:
        """Whether there is nobody any more to answer to."""
        return self._cycle.disconnected

    def finish(self) -> None:
        """The last message follows; what the client still sends is thrown away."""
        self._cycle.expected_content_length = 0
        if self._cycle.more_body:
            self.is_abandoned = True
            self._cycle.keep_alive = True  # the connection ends when the client has read it

    def cut(self) -> None:
        """Ends the connection in the middle of the answer."""
        self._cycle.disconnected = True
        transport = self._cycle.transport
        if self._has_chunks or transport.is_closing():  # without its client there is no socket
            transport.close()
            return
        # A reset: an end in good order would be taken for that of the answer.
        at_once = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        transport.abort()


def connections_within(descriptors: int) -> int:
    """How many clients may be connected if a process may have that many open files."""
    return max(1, descriptors - OTHER_DESCRIPTORS)


def send_whole(protocol: HitsFirst, status: int, lines: bytes, body: bytes) -> bool:
    """Sends an answer in one write, to the same effect as the cycle's own two messages.

    Not to a client that does not read: the messages wait for it, which bounds what it is owed.
    """
    cycle = protocol.cycle
    if protocol.flow.write_paused or cycle.disconnected or cycle.response_complete:
        return False
    own = protocol.wire.own_lines(cycle.default_headers)
    last = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
    cycle.transport.write(b"".join((STATUS_LINE[status], own, lines, last, body)))
    if not cycle.keep_alive:
        cycle.transport.close()
    complete(protocol, cycle)
    return True


def complete(protocol: HttpToolsProtocol, cycle: RequestResponseCycle) -> None:
    """Its answer is written, to the last byte."""
    cycle.response_started = cycle.response_complete = True
    cycle.message_event.set()
    protocol.on_response_complete()
