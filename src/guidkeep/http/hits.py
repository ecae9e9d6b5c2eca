"""Cache hits, answered beneath the application.

A plain `GET /guid/{guid}` whose answer is at hand in this process is written to the socket while
its headers are still being parsed: no task, no routing, no ASGI messages. If a cache on another
machine may have it, that is asked, and the answer written when it comes, again without a task.
Anything out of the ordinary (a condition, a body, what a browser says of the page that asks, a Host
that was not seen before, a pipeline that backs up, a server that stops) goes to the application,
which answers the same, only slower; and so does a request for which the cache had nothing.

A request for which a cache is being asked is one of uvicorn's cycles, as any other, of which only
the task has not begun. So what comes after it on its connection waits for its turn, and whatever
befalls the connection meanwhile befalls the cycle: its end, a client that leaves, a server that
stops.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from guidkeep.http.requests import RECORD_PREFIX
from guidkeep.http.resource import BEGAN, WHOLE_ANSWER
from guidkeep.http.wire import complete, send_whole

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from guidkeep.http.wire import Wire

PREFIX = RECORD_PREFIX.encode()
URL_LENGTH = len(PREFIX) + 32

_OUT_OF_THE_ORDINARY = frozenset(
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


class HitsFirst(HttpToolsProtocol):
    """See the module's text."""

    def __init__(self, *arguments: Any, wire: Wire, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.wire = wire
        self.since = perf_counter()
        self.sought: str | None = None  # by the request that is about to be handed on
        # Once for the connection: of its requests one is worked on at a time, `cycle`.
        self.extensions: dict[str, Any] = {WHOLE_ANSWER: {"send": partial(send_whole, self)}}

    def is_idle(self) -> bool:
        """Whether no answer is being made."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    def answer_at_once(self) -> bool:
        """Answers the request whose headers are complete, if that can be done now."""
        wire = self.wire
        guid = self._guid_of_a_plain_get()
        answer = wire.hit(guid) if guid is not None and wire.hit else None
        if answer is None:
            self.sought = guid
            return False
        self.transport.write(wire.preamble(self.server_state.default_headers) + answer)
        wire.hits.observe(perf_counter() - self.since)
        return True

    def _guid_of_a_plain_get(self) -> str | None:
        """What stands in the address where a GUID should; None: it is nothing for a cache."""
        if (
            self.wire.hit is None
            or len(self.url) != URL_LENGTH
            or not self.url.startswith(PREFIX)
            or self.parser.get_method() != b"GET"
            or self.parser.get_http_version() != "1.1"
            or not self.parser.should_keep_alive()
            or self.flow.write_paused
            or self.wire.draining
        ):
            return None
        hosts, known = 0, self.wire.hosts.known
        for name, value in self.headers:
            if name in _OUT_OF_THE_ORDINARY:
                return None
            if name == b"host":
                if known is not None and value not in known:
                    return None
                hosts += 1
        return self.url[len(PREFIX) :].decode("latin-1") if hosts == 1 else None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Asks the cache on another machine first, where that may have the answer."""
        guid, self.sought = self.sought, None
        began = perf_counter()
        peek = self.wire.peek
        if guid is None or not peek or not peek(guid, partial(self._told, cycle, app, began)):
            self._begin(cycle, app, self.extensions)

    def _told(
        self,
        cycle: RequestResponseCycle,
        app: ASGI3Application,
        began: float,
        answer: bytes | None,
    ) -> None:
        """The cache has spoken. What is raised here would end the cache's connection."""
        if cycle.disconnected or self.transport.is_closing():
            return
        if answer is None or not cycle.keep_alive:
            self._begin(cycle, app, {**self.extensions, BEGAN: {"at": began}})
            return
        self.transport.write(self.wire.preamble(cycle.default_headers) + answer)
        self.wire.hits.observe(perf_counter() - began)
        complete(self, cycle)

    def _begin(
        self, cycle: RequestResponseCycle, app: ASGI3Application, extensions: dict[str, Any]
    ) -> None:
        cycle.scope["extensions"] = extensions
        super()._start_asgi_task(cycle, app)
