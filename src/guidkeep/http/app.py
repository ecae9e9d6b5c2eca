"""The application: the table of routes over the objects whose methods are their handlers."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

from guidkeep.http import openapi
from guidkeep.http.cross_site import CrossSitePolicy
from guidkeep.http.handlers import Parts
from guidkeep.http.limits import Limits
from guidkeep.http.memory import Memory
from guidkeep.http.requests import NO_ROUTE
from guidkeep.http.resource import Resource, nowhere
from guidkeep.http.routes import Cost, methods, routes

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
        settings=settings,
        metrics=metrics,
        memory=memory or Memory(settings.max_memory),
        hosts=hosts,
        cross_site=CrossSitePolicy(settings.allow_origin),
    )
    parts = Parts(
        registry=registry,
        settings=settings,
        limits=limits,
        gather=gather or metrics.gather,
        is_draining=is_draining,
        document=openapi.document(schema, settings),
        methods=methods(),
    )
    owners = {owner: owner(parts) for owner in {route.owner for route in routes()} if owner}
    resources = [(route, _resource(route, owners, limits)) for route in routes()]
    return _routed(resources, Resource(NO_ROUTE, limits, GET=nowhere, otherwise=nowhere))


def _resource(
    route: Route, owners: Mapping[Callable[[Parts], object], object], limits: Limits
) -> Resource:
    handlers: dict[str, Any] = dict(route.methods)
    if route.owner is not None:
        owner = owners[route.owner]
        handlers = {method: MethodType(handler, owner) for method, handler in handlers.items()}
    return Resource(
        route.label or route.path,
        limits,
        is_bounded=route.cost is not Cost.NOTHING,
        is_streamed=route.cost is Cost.STREAMED,
        may_be_linked=route.may_be_linked,
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
