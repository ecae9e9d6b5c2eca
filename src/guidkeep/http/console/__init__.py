"""The console: a page on which people look at records and at the service.

Plain HTML, CSS and modules, served from here as they lie here: nothing is built, and nothing comes
from elsewhere. It speaks to the same addresses as every other client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.http.files import served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.http.requests import Request
    from guidkeep.http.responses import Response

ROUTE = "/console"
"""The page's address, and for metrics the one name of all its files."""

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def pages() -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """The page and its files, by their paths."""
    files = served(__package__, _POLICY)
    index = files.pop("index.html")
    return {ROUTE: index, f"{ROUTE}/": index, **{f"{ROUTE}/{name}": files[name] for name in files}}
