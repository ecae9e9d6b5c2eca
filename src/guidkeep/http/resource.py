"""A resource: an address and its methods, and what every request shares.

Whatever a method raises becomes a problem here; every request is counted, timed and, if asked
for, logged here; and here the number of requests that are worked on at once is bounded.
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

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.http.limits import Limits
    from guidkeep.http.requests import Receive, Scope, Send
    from guidkeep.http.responses import Response

    Handler = Callable[[Request], Awaitable[Response | StreamedResponse]]

log = structlog.get_logger("guidkeep.http")

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""The methods whose requests have a body that is read."""
READING = frozenset({"GET", "HEAD"})
"""The methods after which nothing is changed."""
PIECE = 65_536
"""Bytes of a response that are handed over at once; more only when the client has read them."""


class Resource:
    """An ASGI application for one address.

    Args:
        route: the address' template, for metrics; never a real path.
        limits: see there.
        is_bounded: whether its requests count for the limits; those for health and metrics do
            not.
        any_host: whether it is open to any Host.
        is_streamed: whether its requests are read, or answered, piece by piece; else they are
            handled when the whole body is there.
        otherwise: the handler of all other methods; None: they are not allowed.
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
        self._may_be_linked = not (is_streamed and "GET" in methods)
        if "GET" in methods:
            self._methods["HEAD"] = methods["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
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
            scope.pop("extensions", None)  # they lead back to it: garbage that is found late
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
        except Exception as error:  # noqa: BLE001 - whatever it is becomes a response
            return self._problem(error, request)
        return response

    async def _admit(self, request: Request, place: Place) -> None:
        """Waits for the body, and takes what the request needs."""
        if self._is_streamed:
            place.enter_stream(client_of(request.client))
            return
        if request.method in self._with_body:
            self._limits.require_room()
            request.content = await request.body(self._limits.max_body)
        place.enter(len(request.content))

    async def _stream(
        self, response: StreamedResponse, request: Request, scope: Scope, send: Send
    ) -> int:
        """Sends a response piece by piece; returns its status, or that of what went wrong."""
        try:
            cors = self._cross_site.cors_headers(request)
            headers = [*response.headers, *response.shared.headers, *cors]
            await send_pieces(response, headers, request.stream, scope, send)
        except ClientLeft:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the response has begun
            status = self._problem(error, request).status
            request.stream.cut()
            return status
        return response.status

    def _problem(self, error: Exception, request: Request) -> Response:
        """The response to an error. What it does not say is in the log."""
        shown = problems.shown(error)
        if not problems.problem_of(shown).is_logged:
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
        """The handler of the request, if it may be served at all."""
        cross_site, method = self._cross_site, request.method
        if not self._any_host:
            self._limits.hosts.require(request)
        cross_site.require(request, may_be_linked=self._may_be_linked)
        asked = cross_site.preflight_method(request)  # one that is unknown is refused like itself
        handler = self._methods.get(method if asked is None else asked) or self._otherwise
        if handler is None:
            raise MethodNotAllowed(method if asked is None else shortened(asked), [*self._methods])
        if asked is not None and handler is not self._otherwise:
            return partial(cross_site.preflight, methods=self._methods)
        if method in WITH_BODY:
            request.require_plain_body()
        return handler

    def _count(self, request: Request, status: int, seconds: float) -> None:
        # Any word can be a method: only those of the route become labels.
        is_known = request.method in self._methods or self._cross_site.preflight_method(request)
        method = request.method if is_known else "other"
        metrics = self._limits.metrics
        metrics.tally("guidkeep_request_seconds", self._route, method, status).observe(seconds)
        if self._limits.access_log:
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
    """Answers for addresses where there is nothing."""
    raise NoSuchAddress(
        "There is nothing at this address; /docs shows what there is, /console what is stored."
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
        place.give_back()  # from here on the connection has the response, and may lose it
        connection["response_waits"](len(body))
    headers += response.shared.headers
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    for begin in range(0, len(body), PIECE):  # each waits until the one before is read
        content = body[begin : begin + PIECE]
        await send({"type": "http.response.body", "body": content, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
