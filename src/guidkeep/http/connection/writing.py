"""Writes responses, and decides when a connection reads on."""

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
    """Stops reading while received bytes are not parsed.

    uvicorn's class reads on whenever a response is complete. A client that sends faster than it is
    served, or does not read at all, would fill the memory with its requests.

    Attributes:
        has_rest: whether there are unparsed bytes.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.has_rest = False

    def resume_reading(self) -> None:
        """Reads on, unless there are unparsed bytes."""
        if not self.has_rest:
            super().resume_reading()


class ConnectionStream:
    """A request that is read, or a response that is sent, in pieces; see `Stream`.

    HTTP/1.0 has no chunks: there the end of the connection ends the response (RFC 9112 §6.3).
    uvicorn would send chunks even so.
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
        """Whether the application reads the body as it arrives, and more is to come."""
        return self._reads_on and self._cycle.more_body and not self._cycle.response_complete

    def read_on(self) -> None:
        """Lets the application read the body as it arrives, and limit the time for that itself."""
        self.takes = self._reads_on = True
        if self._cycle.body:
            self._cycle.message_event.set()  # until now the application waited for the whole body

    def has_left(self) -> bool:
        """Whether the client has closed the connection."""
        return self._cycle.disconnected

    def finish(self) -> None:
        """Called before the last message; bytes that the client still sends are discarded."""
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
        # A reset: an orderly close would look like the end of the response.
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
    """Sends a response with one write, with the same effect as the cycle's two messages.

    Returns False if the client does not read: the messages wait for it, which bounds the memory.
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
    """Called when the response is written completely."""
    cycle.response_started = cycle.response_complete = True
    cycle.message_event.set()
    protocol.on_response_complete()
