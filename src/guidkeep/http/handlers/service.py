"""The handlers for the service itself: health, metrics, the OpenAPI document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from guidkeep.errors import Stopping
from guidkeep.http.responses import JSON, Response, json_response
from guidkeep.metrics import exposition
from guidkeep.system.version import VERSION

if TYPE_CHECKING:
    from guidkeep.http.handlers import Parts
    from guidkeep.http.requests import Request

PROMETHEUS_TEXT = b"text/plain; version=0.0.4; charset=utf-8"
"""The media type of Prometheus' text format, as `exposition` writes it."""


class Service:
    """The handlers for the service itself."""

    def __init__(self, parts: Parts) -> None:
        self._registry = parts.registry
        self._gather = parts.gather
        self._document = json.dumps(parts.document).encode()
        self._methods = parts.methods
        self._is_draining = parts.is_draining

    async def options(self, _: Request) -> Response:
        """`OPTIONS *`, which is about the server as a whole (RFC 9110 §9.3.7)."""
        return Response(204, [(b"allow", ", ".join(sorted(self._methods)).encode())])

    async def livez(self, _: Request) -> Response:
        """`GET /livez`: the process runs."""
        return json_response({"status": "ok", "version": VERSION})

    async def readyz(self, _: Request) -> Response:
        """`GET /readyz`: requests can be served."""
        if self._is_draining():
            raise Stopping("This server is stopping; nothing was done. Ask another.")
        cache = await self._registry.check()
        state: dict[str, object] = {"status": cache, "store": "ok", "cache": cache}
        if self._registry.watch.is_doubted:
            state |= {"status": "degraded", "clock": "jumped"}
        return json_response(state)

    async def metrics(self, _: Request) -> Response:
        """`GET /metrics`, for Prometheus."""
        text = exposition(await self._gather())
        return Response(200, [(b"content-type", PROMETHEUS_TEXT)], text)

    async def openapi(self, _: Request) -> Response:
        """`GET /openapi.json`."""
        return Response(200, JSON, self._document)
