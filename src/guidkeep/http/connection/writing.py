"""How responses get onto the wire, and when a connection reads on."""

from __future__ import annotations

import socket
import struct
import sys
from typing import TYPE_CHECKING

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

    from guidkeep.http.connection.context import ConnectionContext


class Flow(FlowControl):
    """Reads no more while something that has arrived is not parsed.

    uvicorn's goes on reading whenever a response is complete. A client that sends faster than it is
    served, or does not read at all, would fill the memory with its requests.

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


class ConnectionStream:
    """A request that is read, or a response that is sent, piece by piece; see `Stream`.

    HTTP/1.0 knows no chunks: there the end of the connection is that of the response (RFC 9112
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
            self._cycle.message_event.set()  # until now it waited for the whole

    def has_left(self) -> bool:
        """Whether the client has closed the connection."""
        return self._cycle.disconnected

    def finish(self) -> None:
        """The last message follows; what the client still sends is thrown away."""
        self._cycle.expected_content_length = 0
        if self._cycle.more_body:
            self.is_abandoned = True
            self._cycle.keep_alive = True  # the connection ends when the client has read it

    def cut(self) -> None:
        """Ends the connection in the middle of the response."""
        self._cycle.disconnected = True
        transport = self._cycle.transport
        if self._has_chunks or transport.is_closing():  # without its client there is no socket
            transport.close()
            return
        # A reset: an end in good order would be taken for that of the response.
        at_once = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        transport.abort()


def send_whole(
    protocol: HttpToolsProtocol,
    context: ConnectionContext,
    status: int,
    lines: bytes,
    body: bytes,
) -> bool:
    """Sends a response in one write, to the same effect as the cycle's own two messages.

    Not to a client that does not read: the messages wait for it, which bounds what it is owed.
    """
    cycle = protocol.cycle
    if protocol.flow.write_paused or cycle.disconnected or cycle.response_complete:
        return False
    own = context.own_lines(cycle.default_headers)
    last = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
    cycle.transport.write(b"".join((STATUS_LINE[status], own, lines, last, body)))
    if not cycle.keep_alive:
        cycle.transport.close()
    complete(protocol, cycle)
    return True


def complete(protocol: HttpToolsProtocol, cycle: RequestResponseCycle) -> None:
    """The response is written, to the last byte."""
    cycle.response_started = cycle.response_complete = True
    cycle.message_event.set()
    protocol.on_response_complete()
