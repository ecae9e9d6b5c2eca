"""Cache hits, served before the application is called.

For a plain `GET /guid/{guid}` whose response is in this process' cache, the response is written to
the socket while the headers are still being parsed: no task, no routing, no ASGI messages. If a
cache on another machine may have the entry, that cache is asked, and its reply becomes the
response, again without a task. Any unusual request goes to the application, which gives the same
response, only slower: one with a condition, a body, a browser's header about its page, or a Host
not seen before; or if the client does not read, or the server stops. So does a request that the
cache cannot serve.

While a cache is asked, an object for the request is in the place of uvicorn's cycle. So the next
request of the connection waits, and this object gets the connection's events: its end, a client
that leaves, a server that stops. The cycle itself, and the objects for the application, are created
only if the cache has no entry. Until then nothing else is parsed, so the parser still knows the
request.
"""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from guidkeep.http.connection.writing import complete, send_whole
from guidkeep.http.extensions import BEGAN, WHOLE_RESPONSE
from guidkeep.http.requests import RECORD_PREFIX

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

    from guidkeep.http.connection.context import ConnectionContext

PREFIX = RECORD_PREFIX.encode()
URL_LENGTH = len(PREFIX) + 32

OUT_OF_THE_ORDINARY = frozenset(
    {
        b"if-match",
        b"if-none-match",
        b"origin",
        b"sec-fetch-site",
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"upgrade",
    }
)


class HitProtocol(HttpToolsProtocol):
    """The layer of the connection that serves hits. See the module's text."""

    def __init__(self, *arguments: Any, context: ConnectionContext, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.context = context
        self.since = perf_counter()
        self.sought: str | None = None  # the GUID of the request that is about to be handed on
        self._began: float | None = None  # when the request's processing began, if not just now
        # Created once: the connection processes one request at a time, `cycle`.
        send = partial(send_whole, self, context)
        self.extensions: dict[str, Any] = {WHOLE_RESPONSE: {"send": send}}

    def is_idle(self) -> bool:
        """Returns whether no request is being served."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    def serve_from_cache(self) -> bool:
        """Serves the request from this process' cache, when its headers are complete."""
        context = self.context
        guid = self._guid_of_a_plain_get()
        response = context.hit(guid) if guid is not None and context.hit else None
        if response is None:
            self.sought = guid
            return False
        self.transport.write(context.preamble(self.server_state.default_headers) + response)
        context.hits.observe(perf_counter() - self.since)
        return True

    def _guid_of_a_plain_get(self) -> str | None:
        """Returns the path's part that should be a GUID; None if no cache can serve the request."""
        if (
            self.context.hit is None
            or len(self.url) != URL_LENGTH
            or not self.url.startswith(PREFIX)
            or self.parser.get_method() != b"GET"
            or self.parser.get_http_version() != "1.1"
            or not self.parser.should_keep_alive()
            or self.flow.write_paused
            or self.context.draining
        ):
            return None
        hosts, known = 0, self.context.hosts.known
        for name, value in self.headers:
            if name in OUT_OF_THE_ORDINARY:
                return None
            if name == b"host":
                if known is not None and value not in known:
                    return None
                hosts += 1
        return self.url[len(PREFIX) :].decode("latin-1") if hosts == 1 else None

    def seeks(self) -> bool:
        """Asks a cache on another machine, if it may have the entry; returns whether it does."""
        guid, self.sought = self.sought, None
        peek = self.context.peek
        if guid is None or peek is None:
            return False
        sought = _Sought()
        if not peek(guid, partial(self._replied, sought, perf_counter())):
            return False
        self.cycle = sought
        return True

    def _replied(self, sought: RequestResponseCycle, began: float, response: bytes | None) -> None:
        """Called with the cache's reply. An error here would end the cache's connection."""
        if sought.disconnected or self.transport.is_closing():
            return
        if response is not None and sought.keep_alive:
            preamble = self.context.preamble(self.server_state.default_headers)
            self.transport.write(preamble + response)
            self.context.hits.observe(perf_counter() - began)
            complete(self, sought)
            return
        self._began = began
        sought.response_complete = True  # a full cycle takes its place
        self.hand_on()
        self.cycle.keep_alive = sought.keep_alive
        super().on_message_complete()  # it has no body

    def hand_on(self) -> None:
        """Creates the objects that the application needs, and a hit does not."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers = self.scope["headers"] = headers
        super().on_headers_complete()
        self.headers = []  # receives the trailers, which are not headers (RFC 9110 §6.5.1)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Starts the application on the request."""
        began, self._began = self._began, None
        extensions = self.extensions
        cycle.scope["extensions"] = (
            extensions if began is None else {**extensions, BEGAN: {"at": began}}
        )
        super()._start_asgi_task(cycle, app)


class _Sought(RequestResponseCycle):
    """A request for which a cache is being asked: the parts of a cycle that may change then."""

    def __init__(self) -> None:
        self.response_started = self.response_complete = self.disconnected = False
        self.keep_alive = self.more_body = True
        self.body = bytearray()
        self.message_event = _NOBODY_WAITS


_NOBODY_WAITS = asyncio.Event()
