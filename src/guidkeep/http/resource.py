"""A resource: a route's methods, and the common processing of every request.

An error of a method becomes a problem here. Every request is counted, timed and, with
`--access-log`, logged here, and the number of requests in progress is limited here.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import structlog

from guidkeep.errors import (
    MethodNotAllowed,
    NoSuchAddress,
    StoreUnavailable,
)
from guidkeep.http import problems
from guidkeep.http.clients import client_of
from guidkeep.http.extensions import BEGAN, CONNECTION, WHOLE_RESPONSE
from guidkeep.http.limits import Place
from guidkeep.http.requests import ClientLeft, Request
from guidkeep.http.responses import lines_of
from guidkeep.http.streams import StreamedResponse, send_pieces
from guidkeep.record import shortened
from guidkeep.settings import REQUEST_COST
from guidkeep.wire.problems import problem_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.http.limits import Limits
    from guidkeep.http.requests import Receive, Scope, Send
    from guidkeep.http.responses import Response

    Handler = Callable[[Request], Awaitable[Response | StreamedResponse]]

log = structlog.get_logger(__name__)

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""The methods whose request bodies are read."""
READING = frozenset({"GET", "HEAD"})
"""The methods that change nothing."""
PIECE = 65_536
"""Bytes of a response that are handed over at once; more only when the client has read them."""


class Resource:
    """An ASGI application for one route.

    Args:
        route: the path's template, for metrics; never a real path.
        limits: the limits of the server.
        is_bounded: whether its requests count for the limits; those for health and metrics do
            not.
        any_host: whether any Host is accepted.
        is_streamed: whether its requests are read, or answered, in pieces; otherwise they are
            handled when the body is complete.
        may_be_linked: whether a link on a page of another site may be followed.
        otherwise: the handler of all other methods; None if they are not allowed.
        methods: the handler of each method; that of GET is HEAD's too.
    """

    def __init__(
        self,
        route: str,
        limits: Limits,
        *,
        is_bounded: bool = True,
        any_host: bool = False,
        is_streamed: bool = False,
        may_be_linked: bool = True,
        otherwise: Handler | None = None,
        **methods: Handler,
    ) -> None:
        self._route = route
        self._limits = limits
        self._cross_site = limits.cross_site
        self._is_bounded = is_bounded
        self._any_host = any_host
        self._is_streamed = is_streamed
        self._otherwise = otherwise
        self._methods = methods
        self._with_body = WITH_BODY & methods.keys()
        self._may_be_linked = may_be_linked
        if "GET" in methods:
            self._methods["HEAD"] = methods["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        began = scope.get("extensions", {}).get(BEGAN, {}).get("at") or perf_counter()
        request = Request(scope, receive)
        place = Place(self._limits)
        try:
            response = await self._respond(request, place)
            status = response.status
            if isinstance(response, StreamedResponse):
                status = await self._stream(response, request, scope, send)
            else:
                cors = self._cross_site.cors_headers(request)
                await _send(response, cors, place, scope, send)
        except ClientLeft:
            return
        finally:
            place.leave()
            scope.pop("extensions", None)  # a reference cycle would delay its deallocation
        self._count(request, status, perf_counter() - began)

    async def _respond(self, request: Request, place: Place) -> Response | StreamedResponse:
        try:
            handler = self._handler(request)
            if self._is_bounded:
                await self._admit(request, place)
            response = await handler(request)
            if isinstance(response, StreamedResponse):
                return await response.begun()
            if self._is_bounded and len(response.body) > REQUEST_COST and request.method in READING:
                place.take(len(response.body))
        except ClientLeft:
            raise
        except Exception as error:  # noqa: BLE001 - every error becomes a response
            return self._problem(error, request)
        return response

    async def _admit(self, request: Request, place: Place) -> None:
        """Waits for the body, and takes the request's share of the limits."""
        if self._is_streamed:
            place.enter_stream(client_of(request.client))
            return
        if request.method in self._with_body:
            self._limits.require_room()
            request.content = await request.body(self._limits.settings.max_body)
        place.enter(len(request.content))

    async def _stream(
        self, response: StreamedResponse, request: Request, scope: Scope, send: Send
    ) -> int:
        """Sends a response in pieces; returns its status, or that of an error on the way."""
        try:
            cors = self._cross_site.cors_headers(request)
            headers = [*response.headers, *response.shared.headers, *cors]
            await send_pieces(response, headers, request.stream, scope, send)
        except ClientLeft:
            raise
        except Exception as error:  # noqa: BLE001 - after any error the response must be cut off
            status = self._problem(error, request).status
            request.stream.cut()
            return status
        return response.status

    def _problem(self, error: Exception, request: Request) -> Response:
        """Returns the response to an error; logs the details that it hides."""
        shown = problems.shown(error)
        if not problem_of(shown).is_logged:
            return problems.response_of(shown)
        if isinstance(error, StoreUnavailable):
            log.warning("store unavailable", request_id=request.id, detail=error.detail)
        else:
            log.error(
                "request failed",
                request_id=request.id,
                method=request.method,
                route=self._route,
                exc_info=error,
            )
        return problems.response_of(shown, request.id)

    def _handler(self, request: Request) -> Handler:
        """Returns the handler of the request, if the request is allowed."""
        cross_site, method = self._cross_site, request.method
        if not self._any_host:
            self._limits.hosts.require(request)
        cross_site.require(request, may_be_linked=self._may_be_linked)
        asked = cross_site.preflight_method(request)  # refused as its request would be
        handler = self._methods.get(method if asked is None else asked) or self._otherwise
        if handler is None:
            raise MethodNotAllowed(method if asked is None else shortened(asked), [*self._methods])
        if asked is not None and handler is not self._otherwise:
            return partial(cross_site.preflight, methods=self._methods)
        if method in WITH_BODY:
            request.require_plain_body()
        return handler

    def _count(self, request: Request, status: int, seconds: float) -> None:
        # A client can send any word as a method: only the route's methods become labels.
        is_known = request.method in self._methods or self._cross_site.preflight_method(request)
        method = request.method if is_known else "other"
        metrics = self._limits.metrics
        metrics.tally("guidkeep_request_seconds", self._route, method, status).observe(seconds)
        if self._limits.settings.access_log:
            log.info(
                "request",
                request_id=request.id,
                method=request.method,
                path=request.path,
                status=status,
                ms=round(seconds * 1000, 2),
                client=request.client,
            )


async def nowhere(_: Request) -> Response:
    """Responds to requests without a route."""
    raise NoSuchAddress(
        "There is nothing at this address; see /docs for the API, /console for the records."
    )


async def _send(
    response: Response, cors: list[tuple[bytes, bytes]], place: Place, scope: Scope, send: Send
) -> None:
    """Sends a response; `cors` are headers for this client beside its own."""
    headers = [*response.headers, *cors]
    if response.status not in (204, 304):
        headers.append((b"content-length", b"%d" % len(response.body)))
    body = response.body if scope["method"] != "HEAD" else b""
    extensions = scope.get("extensions", {})
    whole = extensions.get(WHOLE_RESPONSE)
    if whole and len(body) <= PIECE:
        lines = lines_of(headers) + response.shared.lines
        if whole["send"](response.status, lines, body):
            return
    place.done()
    if connection := extensions.get(CONNECTION):
        place.give_back()  # from here on the response is held by the connection, which may give way
        connection["response_waits"](len(body))
    headers += response.shared.headers
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    for begin in range(0, len(body), PIECE):  # each waits until the one before is read
        content = body[begin : begin + PIECE]
        await send({"type": "http.response.body", "body": content, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
