"""Files of a package that are served to browsers unchanged."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from guidkeep.http import conditions
from guidkeep.http.responses import Response, shared

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.http.requests import Request

_TYPES = {
    "html": b"text/html; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "svg": b"image/svg+xml",
}


def served(package: str, policy: bytes) -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """Returns the handler of each file of the package that is for browsers, by the file's name.

    Args:
        package: the name of the package.
        policy: the Content-Security-Policy of all files.
    """
    return {
        file.name: _file(_TYPES[kind], file.read_bytes(), policy)
        for file in files(package).iterdir()
        if (kind := file.name.rpartition(".")[2]) in _TYPES
    }


def _file(kind: bytes, content: bytes, policy: bytes) -> Callable[[Request], Awaitable[Response]]:
    etag = f'"{sha256(content).hexdigest()[:32]}"'
    headers = [(b"etag", etag.encode()), (b"referrer-policy", b"no-referrer")]
    # Revalidated before each use, so that after an update no page mixes old and new files.
    common = shared(b"no-cache", policy)

    async def respond(request: Request) -> Response:
        stated, _ = conditions.parse(None, request.list_of(b"if-none-match"))
        known = stated.if_none_match or ()
        if "*" in known or etag in known:
            return Response(304, headers, shared=common)
        return Response(200, [(b"content-type", kind), *headers], content, common)

    return respond
