"""The documentation page: Swagger UI for this server's OpenAPI document.

Everything it needs is served from here, so it works offline. The two Swagger UI files are those
of the npm package swagger-ui-dist 5.35.0, unchanged (Apache License 2.0, beside them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.http.files import served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.http.requests import Request
    from guidkeep.http.responses import Response

# Swagger UI sets style attributes and draws its icons from data: URLs.
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'"
)


def pages() -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """Returns the handlers of the page and its files, by their paths."""
    files = served(__package__, _POLICY)
    return {"/docs": files.pop("index.html"), **{f"/docs/{name}": files[name] for name in files}}
