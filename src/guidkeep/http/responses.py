"""Responses: status, headers and content, and the headers that many of them share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from guidkeep.wire import media_types

if TYPE_CHECKING:
    from collections.abc import Iterable

NEVER_FRAMED = b"frame-ancestors 'none'"
"""The Content-Security-Policy of responses that are not pages; that of a page has more."""


class Shared(NamedTuple):
    """Headers that many responses have, and the same headers as lines for sending."""

    headers: list[tuple[bytes, bytes]]
    lines: bytes


def lines_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Returns headers as lines for sending."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def shared(cache_control: bytes, policy: bytes = NEVER_FRAMED) -> Shared:
    """Returns the headers of every response.

    With them browsers neither guess the type, nor show the response in a frame, nor give it to a
    page of another site (Fetch, Cross-Origin-Resource-Policy). `cache_control` limits HTTP caches.
    """
    headers = [
        (b"cache-control", cache_control),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"content-security-policy", policy),
    ]
    return Shared(headers, lines_of(headers))


NOT_KEPT = shared(b"no-store")
"""For responses that are right only now: lists, statistics, problems. The default."""
REVALIDATED = shared(b"no-cache")
"""For responses with an ETag: a copy may be kept, and must be revalidated before use."""

JSON = [(b"content-type", media_types.JSON.encode())]
NDJSON_LINES = [(b"content-type", media_types.NDJSON.encode())]


class Response(NamedTuple):
    """A whole response. The length of its content is added when it is sent.

    Attributes:
        status: the HTTP status.
        headers: the headers of this response alone.
        body: its content.
        shared: the headers of every response; see `shared`.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    shared: Shared = NOT_KEPT


def json_response(content: dict[str, Any]) -> Response:
    """Returns a 200 with content that is right only now."""
    return Response(200, JSON, json.dumps(content).encode())
