"""Errors to responses: RFC 9457 problem details, whatever goes wrong and wherever.

The table from errors to statuses is the tree in `guidkeep.errors` itself.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from guidkeep.errors import GuidkeepError

TYPE_PREFIX = "urn:guidkeep:problem:"
INSIDE = "Something went wrong inside; the log has the details under this request_id."
"""All that a client is told of a fault in Guidkeep."""


class Answer(NamedTuple):
    """A whole response. Its content's length is put in when it is sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""


def json_answer(content: dict[str, Any]) -> Answer:
    """What is so at this moment; it is not to be kept."""
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    return Answer(200, headers, json.dumps(content).encode())


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
    status, headers, body = answer(error)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [b"%b: %b" % header for header in headers]
    lines += [b"content-length: %d" % len(body), b"connection: close", b"", body]
    return b"\r\n".join(lines)
