"""The protocol beneath the application: limits for rude clients, and cache hits first (`hits`).

uvicorn waits for ever for a request that began and for a client that does not read. `watch` looks
at all connections of a server once a second and ends those that take too long; a timer for each
connection would cost more than a hit does. (Of a request that is read as
it comes, the application says whether it takes too long.)
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import httptools
import structlog

from guidkeep.errors import (
    HeadersTooLarge,
    InvalidRequest,
    RequestTimeout,
    Stopping,
    TooManyRequests,
)
from guidkeep.http.framing import framing_fault
from guidkeep.http.hits import HitsFirst
from guidkeep.http.problems import last_words
from guidkeep.http.requests import EXCHANGE
from guidkeep.http.wire import Exchange, Flow

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from guidkeep.errors import GuidkeepError

log = structlog.get_logger("guidkeep.http")

_authority = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)").match
"""The host and port of a request's target that has them."""

WATCH_INTERVAL = 1.0
CHUNK_OVERHEAD = 8
"""Bytes around one byte of content at most, if a client sends it in chunks of one."""
LINGER = 2.0
"""Seconds that a connection that was ended is still read from."""
DRAIN_GRACE = 0.3
"""Seconds that a stopping server still reads from idle connections: what was sent before the
client could know is answered."""


class GuidkeepProtocol(HitsFirst):
    """See the module's text.

    A connection is idle, or receiving (a request has begun and is not complete), or waiting for
    its answer.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.stalled_since: float | None = None
        self.is_receiving = False
        self._head_is_open = True
        self._size = 0  # of what came of the request and is no content
        self._content_size = 0
        self._piece_size = 0
        self._has_completed = False  # a request, in this piece
        self._answered = False
        self._unanswered: set[RequestResponseCycle] = set()
        self.exchange: Exchange | None = None
        self._over_since: float | None = None
        self._linger = LINGER
        self._closing_since: float | None = None
        self._peer_is_done = False

    # From the transport.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own narrows it so
        """Takes the connection, or refuses it when there are too many."""
        super().connection_made(transport)
        self.flow = Flow(transport, self)
        if len(self.connections) > self.wire.settings.max_connections:
            self.end(TooManyRequests("Too many connections are open; try again in a moment."))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: whoever still works on an answer learns of it."""
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        self._unanswered.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses what came, unless the request's head grows without end."""
        if self._over_since is not None:
            return
        self._piece_size = len(data)
        self._has_completed = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay_with_http(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.end(InvalidRequest("This is not a valid HTTP/1.1 request."))
        if self.is_receiving and not self._has_completed:
            self._size += len(data)
            self._check_size(self._size)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's own type
        """The client has said all that it will; True: it still hears what it asked for."""
        self._peer_is_done = True
        return not self.is_idle() and not self.is_receiving

    def pause_writing(self) -> None:
        """The client does not read as fast as it asks."""
        self.stalled_since = perf_counter()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.stalled_since = None
        super().resume_writing()

    # From the parser.

    def on_message_begin(self) -> None:
        """A request begins."""
        self.since = perf_counter()
        self.is_receiving = True
        self._head_is_open = True
        self._size = self._content_size = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Answers from the cache, or hands the request to the application."""
        if self._over_since is not None:
            return  # what comes after the last answer is not done (RFC 9112 §9.6)
        if self._size + self._piece_size > self.wire.settings.max_headers:  # it may be
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if not self._check_size(size):
                return
        if self.answer_at_once():
            self._head_is_open = False
            self._answered = True
            return
        if self.parser.should_upgrade() or not self._check_framing():
            return
        self._head_is_open = False
        super().on_headers_complete()
        self.headers = []  # takes the trailers, which are no headers (RFC 9110 §6.5.1)
        self._unanswered.add(self.cycle)
        if self.wire.draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._size -= len(body)
        self._content_size += len(body)
        if self._over_since is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self.is_receiving = False
        self._has_completed = True
        is_begun = not self._head_is_open and self._over_since is None
        self._head_is_open = True
        self._size = 0
        if self._answered:
            self._answered = False
        elif is_begun:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request is answered: the next one has its turn.

        Unlike uvicorn's own this sets no timer for a connection that is idle now: see `look`.
        """
        self.since = perf_counter()
        self._unanswered = {cycle for cycle in self._unanswered if not cycle.response_complete}
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
        exchange, self.exchange = self.exchange, None
        if exchange is not None and exchange.is_abandoned:
            self._over_since = perf_counter()
            self._linger = self.wire.settings.write_timeout
            self.transport.write_eof()
        elif self._peer_is_done and not self._unanswered:
            self.transport.close()

    def _begin(
        self, cycle: RequestResponseCycle, app: ASGI3Application, extensions: dict[str, Any]
    ) -> None:
        extensions[EXCHANGE] = {"begin": partial(self._begin_exchange, cycle)}
        super()._begin(cycle, app, extensions)

    def _begin_exchange(self, cycle: RequestResponseCycle) -> Exchange:
        self.exchange = Exchange(cycle)
        return self.exchange

    def _stay_with_http(self, rest: bytes) -> None:
        """Reads a request that asks for another protocol as one that does not.

        A server may ignore Upgrade (RFC 9110 §7.8), and clients that prefer HTTP/2 ask for it
        by the way, with requests that have a body too. The parser stops there and would take the
        body for the other protocol, so a new one gets the head again without that header.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.end(InvalidRequest("This is no proxy: CONNECT is not answered."))
            return
        headers = [b"%b: %b\r\n" % line for line in self.headers if line[0] != b"upgrade"]
        version = self.parser.get_http_version().encode()
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(headers))
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)

    def _check_size(self, size: int) -> bool:
        """Ends the connection if the head, or the frame around the content, is too large."""
        settings = self.wire.settings
        most = settings.max_headers
        if not self._head_is_open:
            most += CHUNK_OVERHEAD * max(settings.max_body, self._content_size)
        if size > most:
            detail = (
                f"Request line and headers must not have more than {settings.max_headers} bytes "
                "together."
            )
            self.end(HeadersTooLarge(detail))
        return size <= most

    def _check_framing(self) -> bool:
        """Ends the connection unless everybody would find the same end of the request."""
        fault = framing_fault(self.headers, self.parser.get_http_version())
        if fault is not None:
            self.end(InvalidRequest(fault))
        elif absolute := _authority(self.url):  # its host counts, and no other (RFC 9112 §3.2.2)
            others = [header for header in self.headers if header[0] != b"host"]
            self.headers[:] = [*others, (b"host", absolute[1])]
        return fault is None

    # From the server and its watch.

    def end(self, error: GuidkeepError, *, answers_all: bool = False) -> None:
        """Closes the connection, and says why if that can't be taken for another's answer.

        Args:
            error: what is wrong with the request that comes in, or, if it `answers_all`, with
                all that wait for an answer: then the first of them gets it.
            answers_all: see there.

        It goes on reading for a moment, and throws away what comes: closed at once, the system
        would reset the connection, and the client lose the answer (RFC 9112 §9.6).
        """
        if self._over_since is not None:
            return
        self._over_since = perf_counter()
        before = self._unanswered if not answers_all else set()
        if not self._head_is_open:
            before = before - {self.cycle}
        if not before and not any(cycle.response_started for cycle in self._unanswered):
            self.transport.write(last_words(error))
            self.wire.count_refusal(error.status)
        for cycle in self._unanswered:
            cycle.response_started = cycle.response_complete = cycle.disconnected = True
            cycle.message_event.set()  # whoever waits for the body learns that none comes
        self.transport.write_eof()

    def shutdown(self) -> None:
        """The server stops: what was asked is answered, then the connection closes."""
        if self.is_idle():
            self.loop.call_later(DRAIN_GRACE, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def give_up(self) -> None:
        """The server has waited long enough."""
        if self._unanswered or self.is_receiving:
            error = Stopping("This server is stopping: what became of the request is unknown.")
            self.end(error, answers_all=True)
        self.transport.close()

    def _close_if_idle(self) -> None:
        if self.is_idle() and not self.is_receiving:
            self.transport.close()

    def look(self, now: float) -> None:
        """Ends the connection if it takes too long; `now` is `perf_counter()`."""
        settings = self.wire.settings
        exchange = self.exchange
        is_arriving = exchange is not None and exchange.is_arriving
        if exchange is not None and is_arriving and exchange.takes and self.stalled_since:
            self.stalled_since = now  # it may mean to send everything before it reads
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > settings.write_timeout:  # its last words are not read
                self.transport.abort()
        elif self._over_since is not None:
            if now - self._over_since > self._linger:
                self.transport.abort()
        elif self.stalled_since is not None and now - self.stalled_since > settings.write_timeout:
            self.transport.abort()
        elif self.is_receiving and not is_arriving:
            if now - self.since > settings.request_timeout:
                seconds = f"{settings.request_timeout:g} s"
                detail = f"The request did not arrive within {seconds}; nothing was done."
                self.end(RequestTimeout(detail))
        elif self.is_idle() and now - self.since > settings.idle_timeout:
            self.transport.close()


async def watch(connections: set[Any]) -> None:
    """Looks at all connections once a second, for ever."""
    while True:
        await asyncio.sleep(WATCH_INTERVAL)
        now = perf_counter()
        for connection in list(connections):
            try:
                connection.look(now)
            except Exception:
                log.exception("a connection could not be looked at")
