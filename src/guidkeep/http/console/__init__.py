"""The console: a web page for people who look at records and at the service.

It is plain HTML, CSS and JavaScript modules, served from this folder without a build step. It loads
nothing from other servers, and uses the same API as every other client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.http.files import served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.http.requests import Request
    from guidkeep.http.responses import Response

ROUTE = "/console"
"""The page's address. Metrics count all of its files under this name."""

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def pages() -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """Returns the handlers of the page and its files, by path."""
    files = served(__package__, _POLICY)
    index = files.pop("index.html")
    return {ROUTE: index, f"{ROUTE}/": index, **{f"{ROUTE}/{name}": files[name] for name in files}}
