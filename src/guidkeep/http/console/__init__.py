"""The console: a page on which people look at records and at the service.

Plain HTML, CSS and modules, served from here as they lie here: nothing is built, and nothing comes
from elsewhere. It speaks to the same addresses as every other client.
"""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from guidkeep.http.conditions import parse_condition
from guidkeep.http.problems import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.http.requests import Request

ROUTE = "/console"
"""The page's address, and for metrics the one name of all its files."""

_TYPES = {
    "html": b"text/html; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "svg": b"image/svg+xml",
}

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def pages() -> dict[str, Callable[[Request], Awaitable[Answer]]]:
    """The page and its files, by their paths."""
    served = {
        f"{ROUTE}/{file.name}": _page(file.name.rpartition(".")[2], file.read_bytes())
        for file in files(__package__).iterdir()
        if file.name.rpartition(".")[2] in _TYPES
    }
    index = served.pop(f"{ROUTE}/index.html")
    return {ROUTE: index, f"{ROUTE}/": index, **served}


def _page(kind: str, content: bytes) -> Callable[[Request], Awaitable[Answer]]:
    etag = f'"{sha256(content).hexdigest()[:32]}"'
    headers = [
        (b"etag", etag.encode()),
        # Asked about before each use: after an update no page is made of old and new files.
        (b"cache-control", b"no-cache"),
        (b"content-security-policy", _POLICY),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    ]

    async def answer(request: Request) -> Answer:
        condition, _ = parse_condition(None, request.list_of(b"if-none-match"))
        known = condition.if_none_match or ()
        if "*" in known or etag in known:
            return Answer(304, headers)
        return Answer(200, [(b"content-type", _TYPES[kind]), *headers], content)

    return answer
