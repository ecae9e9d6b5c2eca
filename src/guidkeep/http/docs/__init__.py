"""The documentation page: Swagger UI over this server's own OpenAPI document.

Everything it needs is served from here, so it works offline. The two Swagger UI files are those
of the npm package swagger-ui-dist 5.35.0, unchanged (Apache License 2.0, beside them).
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from guidkeep.http.problems import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.http.requests import Request

_TYPES = {
    "html": b"text/html; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "svg": b"image/svg+xml",
}

# Swagger UI sets style attributes and draws its icons from data: URLs.
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'"
)


def pages() -> dict[str, Callable[[Request], Awaitable[Answer]]]:
    """The page and its files, by their paths."""
    return {
        "/docs": _page("index.html"),
        "/docs/start.js": _page("start.js"),
        "/docs/swagger-ui-bundle.js": _page("swagger-ui-bundle.js"),
        "/docs/swagger-ui.css": _page("swagger-ui.css"),
        "/docs/page.css": _page("page.css"),
        "/docs/icon.svg": _page("icon.svg"),
    }


def _page(name: str) -> Callable[[Request], Awaitable[Answer]]:
    content = files(__package__).joinpath(name).read_bytes()

    async def answer(_: Request) -> Answer:
        headers = [
            (b"content-type", _TYPES[name.rpartition(".")[2]]),
            (b"content-security-policy", _POLICY),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"max-age=3600"),
        ]
        return Answer(200, headers, content)

    return answer
