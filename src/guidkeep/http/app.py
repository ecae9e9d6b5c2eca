"""The routes: what a request means and what the registry is asked for."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from prometheus_client import CONTENT_TYPE_LATEST

from guidkeep import __version__
from guidkeep.errors import Stopping
from guidkeep.http import console, docs, openapi
from guidkeep.http.bulk import Bulk
from guidkeep.http.conditions import Preconditions, preconditions_of, stated
from guidkeep.http.export import Export
from guidkeep.http.memory import Memory
from guidkeep.http.representation import validators
from guidkeep.http.requests import RECORD_PREFIX, RECORD_ROUTE, parse_query
from guidkeep.http.resource import Resource, nowhere
from guidkeep.http.responses import JSON, REVALIDATED, Response, json_response
from guidkeep.http.sites import Sites
from guidkeep.http.stats import Stats
from guidkeep.http.traffic import SHARE, Traffic
from guidkeep.record import parse_change
from guidkeep.registry.paging import PAGE_MEMORY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.http.hosts import Hosts
    from guidkeep.http.requests import Application, Receive, Request, Scope, Send
    from guidkeep.http.resource import Handler
    from guidkeep.metrics import Metrics
    from guidkeep.record import Change, Query, Record
    from guidkeep.registry.paging import Page
    from guidkeep.registry.registry import Registry
    from guidkeep.schema import MetadataSchema
    from guidkeep.settings import Settings

LISTS = 16
"""Pages of lists that are made at once; more wait. Fewer, if they would take half the memory."""


def make_app(
    registry: Registry,
    *,
    settings: Settings,
    schema: MetadataSchema,
    metrics: Metrics,
    hosts: Hosts,
    figures: Callable[[], Awaitable[bytes]] | None = None,
    is_draining: Callable[[], bool] = lambda: False,
    memory: Memory | None = None,
) -> Application:
    """The whole service as an ASGI application.

    Args:
        registry: does what is asked for.
        settings: see there.
        schema: of metadata.
        metrics: where requests are counted.
        hosts: those that the service answers to.
        figures: those of all workers, if several.
        is_draining: whether the server is about to stop.
        memory: the budget, if the server has one that it shares.
    """
    traffic = Traffic(
        metrics=metrics,
        memory=memory or Memory(settings.max_memory),
        max_pending=settings.max_pending,
        max_streams=settings.max_streams,
        max_streams_per_client=_share(settings),
        max_body=settings.max_body,
        hosts=hosts,
        sites=Sites(settings.allow_origin),
        access_log=settings.access_log,
    )
    records = Records(registry, traffic)
    figures = figures or metrics.tell
    service = Service(registry, figures, openapi.document(schema, settings), is_draining)
    bulk = Bulk(
        registry,
        traffic,
        max_body=settings.max_body,
        patience=settings.request_timeout,
        is_draining=is_draining,
    )
    stats = Stats(registry, figures, cache=settings.cache)
    one = _one(records, traffic)
    addresses = {
        **_addresses(records, service, traffic),
        "/bulk": Resource("/bulk", traffic, is_streamed=True, POST=bulk.answer),
        "/export": Resource("/export", traffic, is_streamed=True, GET=Export(registry).answer),
        "/stats": Resource("/stats", traffic, GET=stats.answer),
        "*": Resource("*", traffic, OPTIONS=_options),
    }
    anything_else = Resource("(none)", traffic, GET=nowhere, otherwise=nowhere)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # One address has a part that varies; all others are looked up whole.
        path: str = scope["path"]
        resource = addresses.get(path)
        if resource is None:
            is_one = path.startswith(RECORD_PREFIX) and path.count("/") == RECORD_ROUTE.count("/")
            resource = one if is_one else anything_else
        await resource(scope, receive, send)

    return app


async def _options(_: Request) -> Response:
    """`OPTIONS *`, which is about the server as a whole (RFC 9110 §9.3.7)."""
    return Response(204, [(b"allow", b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")])


def _share(settings: Settings) -> int:
    """How many streams a client may have: where clients are told apart, not all of them."""
    most = settings.max_streams
    return max(1, most // SHARE) if settings.max_connections_per_client else most


def _one(records: Records, traffic: Traffic) -> Resource:
    return Resource(
        RECORD_ROUTE,
        traffic,
        GET=records.read,
        POST=records.create_or_update,
        PUT=records.replace,
        PATCH=records.update,
        DELETE=records.delete,
    )


def _addresses(records: Records, service: Service, traffic: Traffic) -> dict[str, Resource]:
    collection = Resource("/guid", traffic, GET=records.list, POST=records.create)
    files = console.pages()
    return {
        "/guid": collection,
        "/guid/": collection,
        "/livez": _health("/livez", traffic, service.livez),
        "/readyz": _health("/readyz", traffic, service.readyz),
        "/metrics": Resource("/metrics", traffic, is_bounded=False, GET=service.metrics),
        "/openapi.json": Resource("/openapi.json", traffic, GET=service.openapi),
        **{path: Resource(path, traffic, GET=page) for path, page in docs.pages().items()},
        **{path: Resource(console.ROUTE, traffic, GET=file) for path, file in files.items()},
    }


def _health(path: str, traffic: Traffic, answers: Handler) -> Resource:
    """Who asks for the health of a server knows its address, and often no name."""
    return Resource(path, traffic, is_bounded=False, any_host=True, GET=answers)


class Records:
    """The operations on records."""

    def __init__(self, registry: Registry, traffic: Traffic) -> None:
        self._registry = registry
        self._traffic = traffic
        fitting = traffic.memory.size // 2 // PAGE_MEMORY
        self._lists = asyncio.Semaphore(max(1, min(LISTS, fitting)))

    async def create(self, request: Request) -> Response:
        """`POST /guid`: create, the GUID generated, unless the body names one."""
        return await self._create_or_update(request, None)

    async def create_or_update(self, request: Request) -> Response:
        """`POST /guid/{guid}`: create when no live record is there, else update."""
        return await self._create_or_update(request, request.guid)

    async def _create_or_update(self, request: Request, guid: str | None) -> Response:
        change, condition, now = await self._wanted(request, guid)
        written = await self._registry.create_or_update(change, condition, now)
        return _record_answer(written.record, created=written.created)

    async def replace(self, request: Request) -> Response:
        """`PUT /guid/{guid}`: create or replace whole."""
        change, condition, now = await self._wanted(request, request.guid)
        written = await self._registry.replace(change, condition, now)
        return _record_answer(written.record, created=written.created)

    async def update(self, request: Request) -> Response:
        """`PATCH /guid/{guid}`: update only."""
        change, condition, now = await self._wanted(request, request.guid)
        return _record_answer(await self._registry.update(request.guid, change, condition, now))

    async def delete(self, request: Request) -> Response:
        """`DELETE /guid/{guid}`."""
        await self._registry.delete(request.guid, preconditions_of(request))
        return Response(204, [])

    async def read(self, request: Request) -> Response:
        """`GET /guid/{guid}` and `HEAD`."""
        condition = preconditions_of(request)
        record = await self._registry.read(request.guid)
        condition.require_match(record)
        if not condition.none_match_holds(record):
            # RFC 9110 §15.4.5: a 304 carries what the 200 would have, but of the content nothing
            return Response(304, validators(record), shared=REVALIDATED)
        return _record_answer(record)

    async def list(self, request: Request) -> Response:
        """`GET /guid`: live records in GUID order."""
        query = parse_query(request.query)
        async with self._lists:
            with self._traffic.taken(PAGE_MEMORY):
                return _page_answer(await self._registry.list(query), query)

    async def _wanted(
        self, request: Request, guid: str | None
    ) -> tuple[Change, Preconditions, float]:
        """What a write is to change, on what condition, and the time for all that is decided."""
        condition, faults = stated(request)
        now = self._registry.clock()
        content, request.content = request.content, b""  # else it is held until the answer is sent
        parse = partial(parse_change, content, now=int(now), guid=guid, faults=faults)
        return await self._registry.aside.do(len(content), parse), condition, now


class Service:
    """What is asked of the service itself."""

    def __init__(
        self,
        registry: Registry,
        figures: Callable[[], Awaitable[bytes]],
        document: dict[str, object],
        is_draining: Callable[[], bool],
    ) -> None:
        self._registry = registry
        self._figures = figures
        self._document = json.dumps(document).encode()
        self._is_draining = is_draining

    async def livez(self, _: Request) -> Response:
        """`GET /livez`: the process answers."""
        return json_response({"status": "ok", "version": __version__})

    async def readyz(self, _: Request) -> Response:
        """`GET /readyz`: requests can be served."""
        if self._is_draining():
            raise Stopping("This server is stopping; nothing was done. Ask another.")
        cache = await self._registry.check()
        told: dict[str, object] = {"status": cache, "store": "ok", "cache": cache}
        if self._registry.watch.is_doubted:
            told |= {"status": "degraded", "clock": "jumped"}
        return json_response(told)

    async def metrics(self, _: Request) -> Response:
        """`GET /metrics`, for Prometheus."""
        content_type = (b"content-type", CONTENT_TYPE_LATEST.encode())
        return Response(200, [content_type], await self._figures())

    async def openapi(self, _: Request) -> Response:
        """`GET /openapi.json`."""
        return Response(200, JSON, self._document)


def _record_answer(record: Record, *, created: bool = False) -> Response:
    headers = [*JSON, *validators(record)]
    if created:
        headers.append((b"location", f"{RECORD_PREFIX}{record.guid}".encode()))
    return Response(201 if created else 200, headers, record.json.encode(), REVALIDATED)


def _page_answer(page: Page, query: Query) -> Response:
    headers, next_url = list(JSON), None
    if page.after is not None:
        fields = {
            "limit": query.limit,
            "after": page.after,
            "user": query.user,
            "expires_before": query.expires_before,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        next_url = f"/guid?{urlencode(given)}"
        headers.append((b"link", f'<{next_url}>; rel="next"'.encode()))
    records = []
    page.records.reverse()
    while page.records:  # each is let go as it is encoded, so that nothing is there twice
        records.append(page.records.pop().json.encode())
    body = b'{"guids":[%b],"next":%b}' % (b",".join(records), json.dumps(next_url).encode())
    return Response(200, headers, body)
