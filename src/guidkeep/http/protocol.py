"""The protocol beneath the application: cache hits at once, and limits for rude clients.

*Hits.* A plain `GET /guid/{guid}` whose answer is at hand in this process is written to the
socket while its headers are still being parsed: no task, no routing, no ASGI messages. Anything
out of the ordinary (a condition, a body, an Origin, a pipeline that backs up, a server that
stops) goes to the application, which answers the same, only slower.

*Limits.* uvicorn waits for ever for a request that began and for a client that does not read.
One `Watch` a server looks at all connections once a second and ends those that take too long;
a timer for each connection would cost more than a hit does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from guidkeep.errors import HeadersTooLarge, InvalidRequest, RequestTimeout, TooManyRequests
from guidkeep.http.problems import last_words
from guidkeep.http.requests import RECORD_PREFIX, RECORD_ROUTE
from guidkeep.http.resource import WHOLE_ANSWER

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from guidkeep.errors import GuidkeepError
    from guidkeep.metrics import Metrics, RequestTimes
    from guidkeep.settings import Settings

PREFIX = RECORD_PREFIX.encode()
URL_LENGTH = len(PREFIX) + 32
WATCH_INTERVAL = 1.0
DRAIN_GRACE = 0.3
"""Seconds that a stopping server still reads from idle connections: what was sent before the
client could know is answered."""

_OUT_OF_THE_ORDINARY = frozenset(
    {
        b"if-match",
        b"if-none-match",
        b"origin",
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"upgrade",
    }
)


@dataclass(slots=True)
class Wire:
    """What all connections of a server share.

    Attributes:
        settings: the limits.
        hit: returns the finished answer of a GUID, if it is at hand; None: all go the long way.
        metrics: where hits, and requests that never reach the application, are counted.
        draining: whether the server is about to stop.
    """

    settings: Settings
    hit: Callable[[str], bytes | None] | None
    metrics: Metrics
    draining: bool = False
    hits: RequestTimes = field(init=False)
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


class GuidkeepProtocol(HttpToolsProtocol):
    """See the module's text.

    A connection is idle, or receiving (a request has begun and is not complete), or waiting for
    its answer.
    """

    def __init__(self, *arguments: Any, wire: Wire, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.wire = wire
        self.since = perf_counter()
        self.stalled_since: float | None = None
        self.is_receiving = False
        self._head_is_open = True
        self._head_size = 0  # of the pieces that came before this one
        self._chunk_size = 0
        self._answered = False
        self._is_over = False

    # From the transport.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own narrows it so
        """Takes the connection, or refuses it when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.wire.settings.max_connections:
            self.end(TooManyRequests("Too many connections are open; try again in a moment."))

    def data_received(self, data: bytes) -> None:
        """Parses what came, unless the request's head grows without end."""
        if self._is_over:
            return
        self._chunk_size = len(data)
        super().data_received(data)
        if self._head_is_open and self.is_receiving:
            self._head_size += len(data)
            self._check_head(self._head_size)

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
        self._head_size = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Answers from the cache, or hands the request to the application."""
        if self._answer_from_cache():
            self._head_is_open = False
            self._answered = True
            return
        if self._head_size + self._chunk_size > self.wire.settings.max_headers:  # it may be
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if not self._check_head(size):
                return
        self._head_is_open = False
        super().on_headers_complete()
        self.scope["extensions"] = {WHOLE_ANSWER: {"send": partial(_send_whole, self, self.cycle)}}
        if self.wire.draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if not self._is_over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self.is_receiving = False
        self._head_is_open = True
        self._head_size = 0
        if self._answered:
            self._answered = False
        elif not self._is_over:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """The application has answered."""
        self.since = perf_counter()
        super().on_response_complete()

    def _check_head(self, size: int) -> bool:
        most = self.wire.settings.max_headers
        if size > most and not self._is_over:
            detail = f"Request line and headers must not have more than {most} bytes together."
            self.end(HeadersTooLarge(detail))
        return size <= most

    def _answer_from_cache(self) -> bool:
        wire = self.wire
        if (
            wire.hit is None
            or len(self.url) != URL_LENGTH
            or not self.url.startswith(PREFIX)
            or self.parser.get_method() != b"GET"
            or self.parser.get_http_version() != "1.1"
            or not self.parser.should_keep_alive()
            or not self.is_idle()
            or self.flow.write_paused
            or wire.draining
        ):
            return False
        for name, _ in self.headers:
            if name in _OUT_OF_THE_ORDINARY:
                return False
        answer = wire.hit(self.url[len(PREFIX) :].decode("latin-1"))
        if answer is None:
            return False
        self.transport.write(wire.preamble(self.server_state.default_headers) + answer)
        wire.hits.observe(perf_counter() - self.since)
        return True

    # From the server and its watch.

    def is_idle(self) -> bool:
        """Whether no answer is being made."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        """What can't be parsed as HTTP is a problem like any other."""
        if not self._is_over:
            self.end(InvalidRequest(f"This is not a valid HTTP/1.1 request. {msg}"))

    def end(self, error: GuidkeepError) -> None:
        """Closes the connection, and says why if that can't be taken for another's answer."""
        self._is_over = True
        if self.is_idle() if self._head_is_open else not self.cycle.response_started:
            self.transport.write(last_words(error))
            self.wire.count_refusal(error.status)
        if not self.is_idle():
            self.cycle.response_started = self.cycle.response_complete = True
            self.cycle.message_event.set()  # whoever waits for the body learns that none comes
        self.transport.close()

    def shutdown(self) -> None:
        """The server stops: what was asked is answered, then the connection closes."""
        if self.is_idle():
            self.loop.call_later(DRAIN_GRACE, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _close_if_idle(self) -> None:
        if self.is_idle() and not self.is_receiving:
            self.transport.close()

    def look(self, now: float) -> None:
        """Ends the connection if it takes too long; `now` is `perf_counter()`."""
        settings = self.wire.settings
        if self.stalled_since is not None and now - self.stalled_since > settings.write_timeout:
            self.transport.abort()
        elif self.is_receiving:
            if now - self.since > settings.request_timeout:
                seconds = f"{settings.request_timeout:g} s"
                detail = f"The request did not arrive within {seconds}; nothing was done."
                self.end(RequestTimeout(detail))
        elif self.is_idle() and now - self.since > settings.idle_timeout:
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """No news: a client may ask for another protocol, and HTTP/1.1 is what it gets."""


def _send_whole(
    protocol: GuidkeepProtocol,
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
    cycle.response_started = cycle.response_complete = True
    cycle.message_event.set()
    del cycle.scope["extensions"]  # it leads back to the cycle: garbage that is found late
    if not cycle.keep_alive:
        cycle.transport.close()
    protocol.on_response_complete()
    return True


async def watch(connections: set[Any]) -> None:
    """Looks at all connections once a second, for ever."""
    while True:
        await asyncio.sleep(WATCH_INTERVAL)
        now = perf_counter()
        for connection in list(connections):
            connection.look(now)
