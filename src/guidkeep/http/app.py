"""The application: the table of routes over the objects whose methods are their handlers."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

from guidkeep.http import openapi
from guidkeep.http.bulk import Bulk
from guidkeep.http.cross_site import CrossSitePolicy
from guidkeep.http.export import Export
from guidkeep.http.limits import SHARE, Limits
from guidkeep.http.memory import Memory
from guidkeep.http.records import Records
from guidkeep.http.requests import NO_ROUTE
from guidkeep.http.resource import Resource, nowhere
from guidkeep.http.routes import Cost, methods, routes
from guidkeep.http.service import Service
from guidkeep.http.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from guidkeep.http.hosts import Hosts
    from guidkeep.http.requests import Application, Receive, Scope, Send
    from guidkeep.http.routes import Route
    from guidkeep.metrics import Gathered, Metrics
    from guidkeep.registry.registry import Registry
    from guidkeep.schema import MetadataSchema
    from guidkeep.settings import Settings


_VARIES = 2
"""The segment of a path that may vary: the one after `/guid/`."""


def make_app(
    registry: Registry,
    *,
    settings: Settings,
    schema: MetadataSchema,
    metrics: Metrics,
    hosts: Hosts,
    gather: Callable[[], Awaitable[Gathered]] | None = None,
    is_draining: Callable[[], bool] = lambda: False,
    memory: Memory | None = None,
) -> Application:
    """Returns the whole service as an ASGI application.

    Args:
        registry: performs the operations.
        settings: see there.
        schema: the schema of metadata.
        metrics: the metrics in which requests are counted.
        hosts: the hosts that the service accepts.
        gather: gathers the numbers of all workers, if there are several.
        is_draining: whether the server is about to stop.
        memory: the server's shared budget, if it has one.
    """
    limits = Limits(
        metrics=metrics,
        memory=memory or Memory(settings.max_memory),
        max_pending=settings.max_pending,
        max_streams=settings.max_streams,
        max_streams_per_client=_share(settings),
        max_body=settings.max_body,
        hosts=hosts,
        cross_site=CrossSitePolicy(settings.allow_origin),
        access_log=settings.access_log,
    )
    gather = gather or metrics.gather
    document = openapi.document(schema, settings)
    owners: dict[type, Any] = {
        Records: Records(registry, limits),
        Service: Service(registry, gather, document, methods(), is_draining),
        Bulk: Bulk(
            registry,
            limits,
            max_body=settings.max_body,
            patience=settings.request_timeout,
            is_draining=is_draining,
        ),
        Export: Export(registry),
        Stats: Stats(registry, gather, cache=settings.cache),
    }
    resources = [(route, _resource(route, owners, limits)) for route in routes()]
    return _routed(resources, Resource(NO_ROUTE, limits, GET=nowhere, otherwise=nowhere))


def _resource(route: Route, owners: Mapping[type, Any], limits: Limits) -> Resource:
    handlers: dict[str, Any] = dict(route.methods)
    if route.owner is not None:
        owner = owners[route.owner]
        handlers = {method: MethodType(handler, owner) for method, handler in handlers.items()}
    return Resource(
        route.label or route.path,
        limits,
        is_bounded=route.cost is not Cost.NOTHING,
        is_streamed=route.cost is Cost.STREAMED,
        any_host=route.is_health,
        **handlers,
    )


def _routed(resources: Iterable[tuple[Route, Resource]], anything_else: Resource) -> Application:
    whole: dict[str, Resource] = {}
    varying: dict[str, Resource] = {}
    for route, resource in resources:
        for path in (route.path, *route.also):
            if "{" in path:
                varying[_form(path)] = resource
            else:
                whole[path] = resource

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        resource = whole.get(path) or varying.get(_form(path), anything_else)
        await resource(scope, receive, send)

    return app


def _form(path: str) -> str:
    """Returns the path without its second segment, the one that may vary."""
    parts = path.split("/", 3)
    if len(parts) > _VARIES:
        parts[_VARIES] = ""
    return "/".join(parts)


def _share(settings: Settings) -> int:
    """Returns the streams that one client may have: a share of all, if clients are counted."""
    most = settings.max_streams
    return max(1, most // SHARE) if settings.max_connections_per_client else most
