"""Takes one request at a time, and no more bytes than the memory budget has room for.

Received bytes are cut into slices that never have parts of two requests (`slices`). While one
request is being served the rest waits unparsed, and nothing more is read. So a connection has one
request, and the bytes of one system call. Those bytes count in the budget of all connections
(`memory`), which may ask a connection to give way.

The application starts on a request when the body is complete, unless the request is streamed. A
body that never ends costs its bytes and no work.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from guidkeep.errors import HeadersTooLarge, InvalidRequest
from guidkeep.http.connection.hits import HitProtocol
from guidkeep.http.connection.slices import Slices

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from guidkeep.errors import GuidkeepError
    from guidkeep.http.connection.writing import ConnectionStream, Flow

SLICES_AT_ONCE = 64
"""Slices of one connection that are parsed in one event-loop iteration."""
HEAD_SLICE = 4096
"""Bytes of a head that are parsed between two checks of its limits."""
MOST_FIELDS = 256
"""The most fields of a head: parsing a field costs more than its bytes."""
SMALLEST_FIELD = 4
"""The smallest size of a field: a name, a colon, and the end of the line."""
CHUNK_OVERHEAD = 8
"""The most framing bytes for one byte of content, sent in chunks of one byte."""
SMALL = 4096
"""Bytes of a body that are covered by the fixed cost of a request; see `Place`."""


class ReadingProtocol(HitProtocol):
    """The layer of the connection that reads requests. See the module's text.

    Attributes:
        held: bytes that this connection holds, as `Memory` counts them.
        is_receiving: whether a request has begun and is not complete.
        stream: the streamed request, if there is one.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.held = 0
        self.is_receiving = False
        self.stream: ConnectionStream | None = None
        self.flow: Flow
        self._slices = Slices()
        self._rest = b""  # received bytes, unparsed from `_begin_of_rest` on
        self._begin_of_rest = 0
        self._has_more = False  # whether bytes arrived beyond the present slice
        self._head_is_open = True
        self._piece_size = 0
        self._size = 0  # received bytes of the request, without content
        self._content_size = 0
        self._owed = 0  # bytes of the response that the client has not read
        self._over_since: float | None = None
        # A larger head is checked more closely.
        self._unusual_size = min(self.context.settings.max_headers, SMALLEST_FIELD * MOST_FIELDS)

    @abstractmethod
    def give_way(self) -> None:
        """Discards the bytes that it holds; see `Memory`."""

    @abstractmethod
    def end(self, error: GuidkeepError, *, for_pending: bool = False) -> None:
        """Closes the connection with a response; see `GuidkeepProtocol`."""

    def data_received(self, data: bytes) -> None:
        """Takes received bytes, as far as they may be parsed now."""
        if self._over_since is None:
            self._take(data, 0)
            if self._rest or self.is_receiving or self.held or self._content_size > SMALL:
                self.tell_memory()

    def _take(self, data: bytes, begin: int) -> None:
        """Parses from `begin` on, to the end of the first request that is not served at once."""
        left, size = SLICES_AT_ONCE, len(data)
        while begin < size and self._over_since is None:
            if not left or not (self.is_receiving or self.is_idle()):
                self._set_aside(data, begin)
                if not left:
                    self.loop.call_soon(self.go_on)
                return
            left -= 1
            end = self._slices.cut(data, begin)
            if end - begin > HEAD_SLICE and self._head_is_open:
                end = begin + HEAD_SLICE
            self._has_more = end < size
            self._parse(data if end - begin == size else data[begin:end])
            begin = end

    def _parse(self, piece: bytes) -> None:
        self._piece_size = size = len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._stay_with_http()
            return
        except httptools.HttpParserError:
            self.end(InvalidRequest("This is not a valid HTTP/1.1 request."))
        if self.is_receiving:
            if not self._slices.content:
                self._slices.keep(piece)
            self._size += size
            if self._size > self._unusual_size:
                self._check_size(self._size)
        elif self._slices.tail:
            self._slices.reset()

    def _stay_with_http(self) -> None:
        """Parses a request with an Upgrade header as one without.

        A server may ignore Upgrade (RFC 9110 §7.8), and clients that prefer HTTP/2 ask for it
        by the way, with requests that have a body too. The parser stops there and would take the
        body for the other protocol, so a new one gets the head again without that header.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.end(InvalidRequest("This server is not a proxy: CONNECT is not supported."))
            return
        headers = [b"%b: %b\r\n" % line for line in self.headers if line[0] != b"upgrade"]
        version = self.parser.get_http_version().encode()
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(headers))
        self.parser = httptools.HttpRequestParser(self)
        self._parse(head)

    def _check_size(self, size: int) -> bool:
        """Ends the connection if the head, or the framing of the content, is too large."""
        settings = self.context.settings
        most = settings.max_headers
        if not self._head_is_open:
            most += CHUNK_OVERHEAD * max(settings.max_body, self._content_size)
        if size <= most and len(self.headers) <= MOST_FIELDS:
            return True
        detail = (
            f"Request line and headers together must not have more than {settings.max_headers} "
            f"bytes or {MOST_FIELDS} fields."
        )
        self.end(HeadersTooLarge(detail))
        return False

    def _set_aside(self, data: bytes, begin: int) -> None:
        if 2 * begin > len(data):  # otherwise the larger, parsed part would be kept too
            data, begin = data[begin:], 0
        self._rest, self._begin_of_rest = data, begin
        self.flow.has_rest = True
        self.flow.pause_reading()

    def go_on(self) -> None:
        """Parses the bytes set aside, if the previous request is done."""
        if self._over_since is not None or self.transport.is_closing():
            return
        rest, self._rest = self._rest, b""
        self.flow.has_rest = False
        if rest:
            self._take(rest, self._begin_of_rest)
        if len(self._body()) <= HIGH_WATER_LIMIT:
            self.flow.resume_reading()
        self.tell_memory()

    def body_taken(self) -> None:
        """Called when the application has taken the received part of the body."""
        if self.held:
            self.tell_memory()

    def response_waits(self, size: int) -> None:
        """Called when the application sends a response of that size as the client reads it."""
        self._owed = size
        self.tell_memory()

    def tell_memory(self) -> None:
        """Tells the budget how many bytes this connection holds now.

        Streamed requests have taken bytes for this already: see `Place`.
        """
        held = len(self._rest) + self._owed
        if self.stream is None:
            held += body.__alloc__() if (body := self._body()) else 0
            held += self.transport.get_write_buffer_size() if self.flow.write_paused else 0
        if held != self.held:
            self.context.memory.hold(self, held)

    def throw_away(self) -> None:
        """Discards all received bytes, and reads on."""
        self._body().clear()
        self.throw_rest_away()
        self.tell_memory()

    def throw_rest_away(self) -> None:
        """Discards the bytes after the request in progress, and reads on."""
        self._rest = b""
        self.flow.has_rest = False
        self.flow.resume_reading()

    def _body(self) -> bytearray:
        """Returns the received and not yet taken part of the body of the latest request."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return bytearray() if cycle is None else cycle.body

    def on_body(self, body: bytes) -> None:
        """Takes a part of the body, and wakes the application if that can use it."""
        self._size -= len(body)
        self._content_size += len(body)
        cycle = self.cycle
        if self._over_since is not None or cycle.response_complete:
            return
        cycle.body += body
        is_wanted = self.stream is not None and self.stream.is_arriving
        if is_wanted or len(cycle.body) > self.context.settings.max_body:
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()
