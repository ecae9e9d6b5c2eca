"""Errors to responses: RFC 9457 problem details, whatever goes wrong and wherever.

The table from errors to statuses is the tree in `guidkeep.errors` itself.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from guidkeep.errors import TYPE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guidkeep.errors import GuidkeepError

INSIDE = "Something went wrong inside; the log has the details under this request_id."
"""All that a client is told of a fault in Guidkeep."""


NEVER_FRAMED = b"frame-ancestors 'none'"
"""The Content-Security-Policy of what is no page; a page's has more in it."""


class Shared(NamedTuple):
    """Headers that many answers have, and the same as lines that are ready to be sent."""

    headers: list[tuple[bytes, bytes]]
    lines: bytes


def lines_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as they go over the wire."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def shared(cache_control: bytes, policy: bytes = NEVER_FRAMED) -> Shared:
    """The headers that every answer carries, whoever makes it.

    Browsers neither guess its type, nor show it in a frame, nor hand it to a page of another site
    (Fetch, Cross-Origin-Resource-Policy); and nobody keeps it for longer than it says.
    """
    headers = [
        (b"cache-control", cache_control),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"content-security-policy", policy),
    ]
    return Shared(headers, lines_of(headers))


NOT_KEPT = shared(b"no-store")
"""Of what is so at this moment only: lists, figures, problems. An answer is taken for one of these
unless it says otherwise."""
ASKED_ABOUT = shared(b"no-cache")
"""Of what has an ETag: a copy may be kept, and is asked about before it is used."""


JSON = [(b"content-type", b"application/json")]


class Answer(NamedTuple):
    """A whole response. Its content's length is put in when it is sent.

    Attributes:
        status: the HTTP status.
        headers: those that it has alone.
        body: its content.
        shared: those that every answer has; see `shared`.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    shared: Shared = NOT_KEPT


def json_answer(content: dict[str, Any]) -> Answer:
    """What is so at this moment."""
    return Answer(200, JSON, json.dumps(content).encode())


def document(error: GuidkeepError, request_id: str | None = None) -> dict[str, Any]:
    """The problem as JSON. Of a 500 nothing of the inside shows, only the request's id."""
    problem: dict[str, Any] = {
        "type": TYPE_PREFIX + error.type,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if error.faults:
        problem["errors"] = [fault.as_json() for fault in error.faults]
    if request_id is not None:
        problem["request_id"] = request_id
    return problem


def answer(error: GuidkeepError, request_id: str | None = None) -> Answer:
    """The response that tells the client of the error."""
    headers = [(b"content-type", b"application/problem+json")]
    headers += [(name.encode(), value.encode()) for name, value in error.headers.items()]
    if request_id is not None:
        headers.append((b"x-request-id", request_id.encode()))
    return Answer(error.status, headers, json.dumps(document(error, request_id)).encode())


def last_words(error: GuidkeepError) -> bytes:
    """The same as bytes for the wire, for when a connection ends before there is a request."""
    status, headers, body, common = answer(error)
    headers += [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
    return b"".join([first, lines_of(headers), common.lines, b"\r\n", body])
