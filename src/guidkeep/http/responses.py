"""Responses: status, headers and content, and the headers that many of them share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from guidkeep.jsontext.lines import NDJSON

if TYPE_CHECKING:
    from collections.abc import Iterable

NEVER_FRAMED = b"frame-ancestors 'none'"
"""The Content-Security-Policy of what is no page; a page's has more in it."""


class Shared(NamedTuple):
    """Headers that many responses have, and the same as lines that are ready to be sent."""

    headers: list[tuple[bytes, bytes]]
    lines: bytes


def lines_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as they go over the wire."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def shared(cache_control: bytes, policy: bytes = NEVER_FRAMED) -> Shared:
    """The headers that every response carries.

    Browsers neither guess its type, nor show it in a frame, nor hand it to a page of another site
    (Fetch, Cross-Origin-Resource-Policy). Nobody keeps it for longer than `cache_control` says.
    """
    headers = [
        (b"cache-control", cache_control),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"content-security-policy", policy),
    ]
    return Shared(headers, lines_of(headers))


NOT_KEPT = shared(b"no-store")
"""Of what is right at this moment only: lists, statistics, problems. The default."""
REVALIDATED = shared(b"no-cache")
"""Of what has an ETag: a copy may be kept, and must be revalidated before it is used."""

JSON = [(b"content-type", b"application/json")]
NDJSON_LINES = [(b"content-type", NDJSON.encode())]


class Response(NamedTuple):
    """A whole response. The length of its content is added when it is sent.

    Attributes:
        status: the HTTP status.
        headers: those of this response alone.
        body: its content.
        shared: those that every response has; see `shared`.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    shared: Shared = NOT_KEPT


def json_response(content: dict[str, Any]) -> Response:
    """A 200 with content that is right at this moment only."""
    return Response(200, JSON, json.dumps(content).encode())
