"""Errors to responses: RFC 9457 problem details, as the table of `guidkeep.wire.problems` says."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from guidkeep.errors import GuidkeepError
from guidkeep.http.responses import Response, lines_of
from guidkeep.wire.media_types import PROBLEM
from guidkeep.wire.problems import PROBLEMS, TYPE_PREFIX, problem_of

INSIDE = "Something went wrong inside; the log has the details under this request_id."
"""The `detail` of every internal error: a client sees no internals."""


def document(error: GuidkeepError, request_id: str | None = None) -> dict[str, Any]:
    """Returns the problem as a JSON object."""
    problem = problem_of(error)
    members: dict[str, Any] = {
        "type": TYPE_PREFIX + error.code,
        "title": problem.title,
        "status": problem.status,
        "detail": error.detail,
    }
    if error.faults:
        members["errors"] = [fault.as_json() for fault in error.faults]
    if request_id is not None:
        members["request_id"] = request_id
    return members


def response_of(error: GuidkeepError, request_id: str | None = None) -> Response:
    """Returns the response to the error."""
    problem = problem_of(error)
    headers = [(b"content-type", PROBLEM.encode())]
    for name, value in problem.headers.items():
        text = value if isinstance(value, str) else value(error)
        headers.append((name.encode(), text.encode()))
    if request_id is not None:
        headers.append((b"x-request-id", request_id.encode()))
    return Response(problem.status, headers, json.dumps(document(error, request_id)).encode())


def last_bytes(error: GuidkeepError) -> bytes:
    """Returns the response as bytes, for a connection that closes with it."""
    status, headers, body, common = response_of(error)
    headers += [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
    return b"".join([first, lines_of(headers), common.lines, b"\r\n", body])


def shown(error: Exception) -> GuidkeepError:
    """Returns the error for the client: one that has no row of its own shows nothing."""
    code = error.code if isinstance(error, GuidkeepError) else GuidkeepError.code
    has_row = code in PROBLEMS and code != GuidkeepError.code  # the base's row is of the unforeseen
    return error if has_row and isinstance(error, GuidkeepError) else GuidkeepError(INSIDE)
