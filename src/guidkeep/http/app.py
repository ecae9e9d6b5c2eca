"""The routes: what a request means and what the registry is asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, Router

from guidkeep import __version__, answer
from guidkeep.errors import PreconditionFailed, StoreUnavailable
from guidkeep.http import docs, openapi
from guidkeep.http.conditions import parse_condition
from guidkeep.http.problems import Answer
from guidkeep.http.requests import parse_query
from guidkeep.http.resource import WHOLE_ANSWER, Resource, Traffic, nowhere
from guidkeep.record import parse_change

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from guidkeep.http.requests import Request
    from guidkeep.metrics import Metrics
    from guidkeep.record import Change, Condition, Query, Record
    from guidkeep.registry import Page, Registry
    from guidkeep.schema import MetadataSchema
    from guidkeep.settings import Settings

RECORD_ROUTE = "/guid/{guid}"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
JSON = [(b"content-type", b"application/json")]


def make_app(
    registry: Registry,
    *,
    settings: Settings,
    schema: MetadataSchema,
    metrics: Metrics,
    is_draining: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """The whole service as an ASGI application."""
    traffic = Traffic(
        metrics=metrics,
        max_pending=settings.max_pending,
        allow_origin=settings.allow_origin,
        access_log=settings.access_log,
    )
    records = Records(registry, max_body=settings.max_body)
    service = Service(registry, metrics, openapi.document(schema, settings), is_draining)
    collection = Resource("/guid", traffic, GET=records.list, POST=records.create)
    resources = {  # tried in this order, so what is asked for most comes first
        RECORD_ROUTE: Resource(
            RECORD_ROUTE,
            traffic,
            GET=records.read,
            POST=records.create_or_update,
            PUT=records.replace,
            PATCH=records.update,
            DELETE=records.delete,
        ),
        "/guid": collection,
        "/guid/": collection,
        "/livez": Resource("/livez", traffic, GET=service.livez),
        "/readyz": Resource("/readyz", traffic, GET=service.readyz),
        "/metrics": Resource("/metrics", traffic, GET=service.metrics),
        "/openapi.json": Resource("/openapi.json", traffic, GET=service.openapi),
        **{path: Resource(path, traffic, GET=page) for path, page in docs.pages().items()},
    }
    anything_else = Resource("(none)", traffic, **dict.fromkeys(METHODS, nowhere))
    router = Router(
        [Route(path, resource) for path, resource in resources.items()],
        redirect_slashes=False,
        default=anything_else,
    )
    return _with_cors(router, settings.allow_origin)


class Records:
    """The operations on records."""

    def __init__(self, registry: Registry, *, max_body: int) -> None:
        self._registry = registry
        self._max_body = max_body

    async def create(self, request: Request) -> Answer:
        """`POST /guid`: create, the GUID generated, unless the body names one."""
        return await self._create_or_update(request, None)

    async def create_or_update(self, request: Request) -> Answer:
        """`POST /guid/{guid}`: create when no live record is there, else update."""
        return await self._create_or_update(request, request.guid)

    async def _create_or_update(self, request: Request, guid: str | None) -> Answer:
        change = await self._change(request, guid)
        written = await self._registry.create_or_update(change, _condition(request))
        return _record_answer(written.record, created=written.created)

    async def replace(self, request: Request) -> Answer:
        """`PUT /guid/{guid}`: create or replace whole."""
        change = await self._change(request, request.guid)
        written = await self._registry.replace(change, _condition(request))
        return _record_answer(written.record, created=written.created)

    async def update(self, request: Request) -> Answer:
        """`PATCH /guid/{guid}`: update only."""
        guid = request.guid
        change = await self._change(request, guid)
        return _record_answer(await self._registry.update(guid, change, _condition(request)))

    async def delete(self, request: Request) -> Answer:
        """`DELETE /guid/{guid}`."""
        await self._registry.delete(request.guid, _condition(request))
        return Answer(204, [])

    async def read(self, request: Request) -> Answer:
        """`GET /guid/{guid}` and `HEAD`."""
        record = await self._registry.read(request.guid)
        condition = _condition(request)
        if not condition.match_holds(record):
            raise PreconditionFailed(
                f"If-Match names another version of the record: its ETag is {record.etag}."
            )
        if not condition.none_match_holds(record):
            # RFC 9110 §15.4.5: a 304 carries what the 200 would have, but of the content nothing
            return Answer(304, [field for field in answer.headers(record) if field not in JSON])
        return _record_answer(record)

    async def list(self, request: Request) -> Answer:
        """`GET /guid`: live records in GUID order."""
        query = parse_query(request.query)
        return _page_answer(await self._registry.list(query), query)

    async def _change(self, request: Request, guid: str | None) -> Change:
        body = await request.body(self._max_body)
        return parse_change(body, now=int(self._registry.clock()), guid=guid)


class Service:
    """What is asked of the service itself."""

    def __init__(
        self,
        registry: Registry,
        metrics: Metrics,
        document: dict[str, object],
        is_draining: Callable[[], bool],
    ) -> None:
        self._registry = registry
        self._metrics = metrics
        self._document = json.dumps(document).encode()
        self._is_draining = is_draining

    async def livez(self, _: Request) -> Answer:
        """`GET /livez`: the process answers."""
        return _json(200, {"status": "ok", "version": __version__})

    async def readyz(self, _: Request) -> Answer:
        """`GET /readyz`: requests can be served."""
        if self._is_draining():
            raise StoreUnavailable("This server is stopping; nothing was done. Ask another.")
        cache = await self._registry.check()
        return _json(200, {"status": cache, "store": "ok", "cache": cache})

    async def metrics(self, _: Request) -> Answer:
        """`GET /metrics`, for Prometheus."""
        return Answer(200, [(b"content-type", CONTENT_TYPE_LATEST.encode())], self._metrics.text())

    async def openapi(self, _: Request) -> Answer:
        """`GET /openapi.json`."""
        return Answer(200, JSON, self._document)


def _record_answer(record: Record, *, created: bool = False) -> Answer:
    headers = answer.headers(record)
    if created:
        headers.append((b"location", f"/guid/{record.guid}".encode()))
    return Answer(201 if created else 200, headers, record.body.encode())


def _page_answer(page: Page, query: Query) -> Answer:
    headers, next_url = list(JSON), None
    if page.more:
        fields = {
            "limit": query.limit,
            "after": page.records[-1].guid,
            "user": query.user,
            "expires_before": query.expires_before,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        next_url = f"/guid?{urlencode(given)}"
        headers.append((b"link", f'<{next_url}>; rel="next"'.encode()))
    records = ",".join([record.body for record in page.records])
    return Answer(200, headers, f'{{"guids":[{records}],"next":{json.dumps(next_url)}}}'.encode())


def _json(status: int, content: dict[str, str]) -> Answer:
    return Answer(status, [*JSON, (b"cache-control", b"no-store")], json.dumps(content).encode())


def _condition(request: Request) -> Condition:
    headers = request.headers
    return parse_condition(headers.get(b"if-match"), headers.get(b"if-none-match"))


def _with_cors(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Lets pages of those origins use the service; for everybody else nothing changes."""
    if not origins:
        return app
    with_cors = CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=["Content-Type", "If-Match", "If-None-Match", "X-Request-ID"],
        expose_headers=["ETag", "Link", "Location", "Retry-After", "Sunset", "X-Request-ID"],
    )
    allowed = {origin.encode() for origin in origins}

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        origin = dict(scope["headers"]).get(b"origin")
        if origin not in allowed:
            await app(scope, receive, send)
            return
        scope.get("extensions", {}).pop(WHOLE_ANSWER, None)  # it adds headers to the messages
        await with_cors(scope, receive, send)

    return choose
