"""The connection: limits for slow, greedy or broken clients.

uvicorn waits for ever for the rest of a request, and for a client that does not read. `watch`
checks all connections of a server once a second and ends those that take too long; a timer for each
connection would cost more than a hit. (The application limits the time of a streamed request.)
"""

from __future__ import annotations

import asyncio
import re
from time import perf_counter
from typing import TYPE_CHECKING, Any

import structlog

from guidkeep.errors import (
    InvalidRequest,
    MisdirectedRequest,
    RequestTimeout,
    Stopping,
    TooManyRequests,
)
from guidkeep.http.clients import client_of
from guidkeep.http.connection.framing import content_length
from guidkeep.http.connection.reading import ReadingProtocol
from guidkeep.http.connection.writing import ConnectionStream, Flow
from guidkeep.http.extensions import CONNECTION
from guidkeep.http.memory import give_back
from guidkeep.http.problems import last_bytes
from guidkeep.record import shortened
from guidkeep.wire.problems import problem_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from guidkeep.errors import GuidkeepError
    from guidkeep.http.memory import Memory

log = structlog.get_logger(__name__)

_absolute = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)").match
"""Matches a request's target in absolute form: its scheme, and its host and port."""

SCHEMES = (b"http", b"https")
"""The accepted schemes; a proxy in front may have terminated TLS."""

WATCH_INTERVAL = 1.0
"""Seconds between two checks of all connections for timeouts."""
LOOKS_AT_ONCE = 256
"""Connections that are checked in one event-loop iteration."""
LINGER = 2.0
"""Seconds for which an ended connection is still read."""
GUEST_TIME = 2.0
"""Seconds that a connection beyond the limits has for its health check."""
DRAIN_GRACE = 0.3
"""Seconds for which a stopping server still reads idle connections, to serve requests sent before
the client could know."""


class GuidkeepProtocol(ReadingProtocol):
    """One connection. See the module's text.

    A connection is idle, or receiving (a request has begun and is not complete), or waiting for
    its response.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.stalled_since: float | None = None
        self._is_hit = False
        self._pending: set[RequestResponseCycle] = set()
        self._linger = LINGER
        self._closing_since: float | None = None
        self._peer_is_done = False
        self._client: Hashable = None
        self._is_guest = False
        self.extensions[CONNECTION] = {
            "begin_stream": self._begin_stream,
            "take_whole_body": self._take_whole_body,
            "body_taken": self.body_taken,
            "response_waits": self.response_waits,
        }

    # From the transport.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own narrows it so
        """Accepts the connection; beyond the limits, as a guest."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # so that all unread bytes are known
        self.flow = Flow(transport)
        gate = self.context.gate
        self._client = client_of(self.client[0] if self.client else None)
        if self.context.descriptors_are_short(transport):
            self._is_guest = True
            transport.abort()
        elif not gate.admit(self._client):
            self._is_guest = True
            self._unusual_size = 0
            if not gate.seat(self):
                transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the application that the connection is gone."""
        if self._is_guest:
            self.context.gate.unseat(self)
        else:
            self.context.gate.let_go(self._client)
        for cycle in self._pending:
            cycle.disconnected = True
            cycle.message_event.set()
        self._pending.clear()
        super().connection_lost(exc)
        self.extensions = {}  # they refer back here, which would delay deallocation
        self._rest = b""
        self._body().clear()  # the application may still hold the request for long
        self.context.memory.hold(self, 0)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's own type
        """Called when the client has closed its side. Returns True while responses are due."""
        self._peer_is_done = True
        if self._is_guest and self.is_idle():
            self.end(_too_many())
        return not self.is_idle() and not self.is_receiving

    def pause_writing(self) -> None:
        """Called when the client reads too slowly."""
        self.stalled_since = perf_counter()
        super().pause_writing()
        self.tell_memory()

    def resume_writing(self) -> None:
        """Called when the client has caught up."""
        self.stalled_since = None
        super().resume_writing()
        self.tell_memory()

    # From the parser.

    def on_message_begin(self) -> None:
        """Called when a request begins."""
        self.since = perf_counter()
        self.is_receiving = True
        self._head_is_open = True
        self._size = self._content_size = 0
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        """Serves the request from the cache, or hands it to the application."""
        if self._size + self._piece_size > self._unusual_size and not self._examine():
            return
        if self.serve_from_cache():
            self._head_is_open = False
            self._is_hit = True
            return
        # A request that a cache may serve is a plain GET: it has no body and upgrades to nothing.
        if self.sought is None and (self.parser.should_upgrade() or not self._check_framing()):
            return
        self._head_is_open = False
        if self.seeks():
            self._pending = {self.cycle}
        else:
            self.hand_on()
        if self._is_guest:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Called when the request is complete."""
        self.is_receiving = False
        is_begun = not self._head_is_open and self._over_since is None
        self._head_is_open = True
        self._size = 0
        if self._is_hit:
            self._is_hit = False
        elif is_begun:
            if self.context.draining and not self._has_more:
                self.cycle.keep_alive = False
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Called when a response is complete; continues with the next request.

        Unlike uvicorn's method this sets no timer for an idle connection: see `look`.
        """
        self.since = perf_counter()
        self._pending.clear()  # there is at most one
        self._owed = 0
        if self.cycle.body:
            self.cycle.body = bytearray()  # no longer needed
        stream, self.stream = self.stream, None
        if stream is not None and stream.is_abandoned:
            self._over_since = perf_counter()
            self._linger = self.context.settings.write_timeout
            self.throw_away()
            self.transport.write_eof()
            return
        if self._rest or self.held or self.flow.read_paused or self.flow.write_paused:
            self.go_on()
        if self._peer_is_done and not self._pending:
            self.transport.close()
        elif self.context.draining:
            self.shutdown()

    def hand_on(self) -> None:
        """Creates the objects that the application needs."""
        super().hand_on()
        self._pending = {self.cycle}

    def _begin_stream(self) -> ConnectionStream:
        self.stream = ConnectionStream(self.cycle)
        return self.stream

    def _take_whole_body(self) -> bytes | None:
        """Returns the body, in place of the message that the application would await."""
        cycle = self.cycle
        if cycle.more_body or cycle.disconnected or cycle.response_complete:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        self.body_taken()
        return body

    def _check_framing(self) -> bool:
        """Ends the connection if two parsers could find different ends of the request."""
        try:
            self._slices.content = content_length(self.headers, self.parser.get_http_version)
        except InvalidRequest as error:
            self.end(error)
            return False
        absolute = None if self.url.startswith(b"/") else _absolute(self.url)
        if absolute:  # its host replaces the Host header (RFC 9112 §3.2.2)
            if absolute[1].lower() not in SCHEMES:
                scheme = shortened(absolute[1].decode())
                self.end(
                    MisdirectedRequest(
                        f"The request's URL has the scheme {scheme!r}; this server serves only "
                        "http and https."
                    )
                )
                return False
            others = [header for header in self.headers if header[0] != b"host"]
            self.headers[:] = [*others, (b"host", absolute[2])]
        return True

    def _examine(self) -> bool:
        """Ends the connection if its head is too large, or if a guest asks for no health check."""
        if self._is_guest:
            path = self.url.partition(b"?")[0].decode("latin-1")
            if path not in self.context.health:
                self.end(_too_many())
                return False
        return self._check_size(self._size + self._piece_size)

    # From the server and its watch.

    def end(self, error: GuidkeepError, *, for_pending: bool = False) -> None:
        """Sends the error as a response and closes the connection.

        No response is sent if the client would take it for the response to an earlier request.

        Args:
            error: what is wrong with the request that is arriving. With `for_pending` it is the
                error of the requests that wait for a response, and the first of them gets it.
            for_pending: whether the error is that of the waiting requests.

        The connection is read for a moment longer, and the bytes are discarded. If it were closed
        at once, the system would reset it, and the client would lose the response (RFC 9112 §9.6).
        """
        if self._over_since is not None:
            return
        self._over_since = perf_counter()
        before = self._pending if not for_pending else set()
        if not self._head_is_open:
            before = before - {self.cycle}
        if not before and not any(cycle.response_started for cycle in self._pending):
            self.transport.write(last_bytes(error))
            self.context.count_refusal(problem_of(error).status)
        for cycle in self._pending:
            cycle.response_started = cycle.response_complete = cycle.disconnected = True
            cycle.message_event.set()  # tells the application that no body will come
        self.headers = []  # they may be many
        self.throw_away()
        self.transport.write_eof()

    def give_way(self) -> None:
        """Called when memory is short: discards the bytes of requests that have not begun."""
        if self.stalled_since is not None or self._owed:
            self.transport.abort()
        elif self.is_receiving or self.is_idle():
            detail = (
                "The memory for requests is used up, and the request was not complete; nothing was "
                "done. Try again in a moment."
            )
            self.end(TooManyRequests(detail))
        else:
            self.cycle.keep_alive = False  # the request before is served; then it ends
            self.throw_rest_away()  # not its body, which the application may not have taken yet

    def leave(self) -> bool:
        """Called when another guest needs the place; returns whether this one leaves."""
        is_busy = bool(self._pending) and self._over_since is None
        if not is_busy:
            self.transport.abort()
        return not is_busy

    def shutdown(self) -> None:
        """Called when the server stops: serves the requests that have arrived, then closes."""
        if self.is_idle():
            self.loop.call_later(DRAIN_GRACE, self._close_if_idle)
        elif not self._rest:  # if more requests have arrived, the last response closes instead
            self.cycle.keep_alive = False

    def give_up(self) -> None:
        """Called when the server's drain timeout is over."""
        if self._pending or self.is_receiving:
            error = Stopping("This server is stopping: the outcome of the request is unknown.")
            self.end(error, for_pending=True)
        self.transport.close()

    def _close_if_idle(self) -> None:
        if self.is_idle() and not self.is_receiving:
            self.transport.close()

    def look(self, now: float) -> None:
        """Ends the connection if it takes too long; `now` is `perf_counter()`."""
        settings = self.context.settings
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > settings.write_timeout:  # its last response is not read
                self.transport.abort()
        elif self._over_since is not None:
            if now - self._over_since > self._linger:
                self.transport.abort()
        elif self._is_guest and not self._pending:
            if now - self.since > GUEST_TIME:
                self.end(_too_many())
        else:
            self._look_at_request(now)

    def _look_at_request(self, now: float) -> None:
        settings = self.context.settings
        stream = self.stream
        is_arriving = stream is not None and stream.is_arriving
        if stream is not None and is_arriving and stream.takes and self.stalled_since:
            self.stalled_since = now  # the client may intend to send everything before it reads
        if self.stalled_since is not None and now - self.stalled_since > settings.write_timeout:
            self.transport.abort()
        elif self.is_receiving and not is_arriving:
            if now - self.since > settings.request_timeout:
                seconds = f"{settings.request_timeout:g} s"
                detail = f"The request did not arrive within {seconds}; nothing was done."
                self.end(RequestTimeout(detail))
        elif self.is_idle() and now - self.since > settings.idle_timeout:
            self.transport.close()


def _too_many() -> TooManyRequests:
    return TooManyRequests("Too many connections are open; try again in a moment.")


async def watch(connections: set[Any], memory: Memory) -> None:
    """Checks all connections once a second, for ever, and gives freed memory back."""
    while True:
        await asyncio.sleep(WATCH_INTERVAL)
        now = perf_counter()
        for number, connection in enumerate(list(connections), 1):
            try:
                connection.look(now)
            except Exception:
                log.exception("a connection could not be looked at")
            if number % LOOKS_AT_ONCE == 0:
                await asyncio.sleep(0)
        if memory.has_fallen():
            await asyncio.to_thread(give_back)
