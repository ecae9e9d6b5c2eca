"""The table from errors to problems (RFC 9457), by the error's code.

The table of problems in `docs/api.md` (`make docs`), and the responses in `/openapi.json`, are made
from it. A new error is a class in `errors.py` and a row here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from guidkeep.errors import GuidkeepError

TYPE_PREFIX = "urn:guidkeep:problem:"
"""The beginning of a problem's `type` (RFC 9457 §3.1.1). The error's code follows."""


class Problem(NamedTuple):
    """The HTTP form of the errors with one code.

    Attributes:
        status: the HTTP status.
        title: the kind of error in words, which never changes.
        when: when it happens, for `docs/api.md`.
        headers: the response's headers, by lower-case names: the value, or a function that makes
            it from the error.
        is_logged: whether the log has the details under the request's id, which the response then
            contains.
        of_any_request: whether a request to any route may cause it.
    """

    status: int
    title: str
    when: str
    headers: Mapping[str, str | Callable[[Any], str]] = {}
    is_logged: bool = False
    of_any_request: bool = False


_AGAIN = {"retry-after": "1"}

PROBLEMS: Mapping[str, Problem] = {
    "invalid-request": Problem(
        400,
        "The request is not valid",
        "the request is malformed, or its content not valid",
    ),
    "cross-site-refused": Problem(
        403,
        "Requests from this site are not allowed",
        "a browser page of another origin tried to write, or one of another site to read",
        of_any_request=True,
    ),
    "not-found": Problem(404, "Not found", "there is no live record of that GUID"),
    "no-such-address": Problem(
        404,
        "There is nothing at this address",
        "no route has that address: the base URL is wrong",
    ),
    "method-not-allowed": Problem(
        405,
        "Method not allowed",
        "the address does not know the method; `Allow` lists those it knows",
        headers={"allow": lambda error: ", ".join(error.allowed)},  # RFC 9110 §15.5.6
    ),
    "request-timeout": Problem(
        408,
        "The request took too long to arrive",
        "the request took too long to arrive; nothing was done",
        of_any_request=True,
    ),
    "precondition-failed": Problem(
        412,
        "Precondition failed",
        "`If-Match` or `If-None-Match` does not hold; nothing was changed",
    ),
    "body-too-large": Problem(
        413,
        "The body is too large",
        "the body is larger than `--max-body`, or the record's metadata would become so",
    ),
    "encoded-body": Problem(
        415,
        "The body must not be encoded",
        "the body has a `Content-Encoding` other than `identity`; `Accept-Encoding` says so",
        headers={"accept-encoding": "identity"},  # RFC 9110 §12.5.3
    ),
    "misdirected-request": Problem(
        421,
        "This server does not answer to that host",
        "the server does not answer to the request's host (`--allow-host`)",
        of_any_request=True,
    ),
    "too-many-requests": Problem(
        429,
        "Too many requests",
        "more requests or connections than the server takes on; nothing was done",
        headers=_AGAIN,
        of_any_request=True,
    ),
    "headers-too-large": Problem(
        431,
        "The request's headers are too large",
        "request line and headers are larger than `--max-headers`",
        of_any_request=True,
    ),
    "internal": Problem(
        500,
        "Internal error",
        "a fault in Guidkeep; no internals are shown",
        is_logged=True,
        of_any_request=True,
    ),
    "store-unavailable": Problem(
        503,
        "The store can't answer",
        "the store failed, or did not respond in time; **nothing was written**",
        headers=_AGAIN,
        is_logged=True,
    ),
    "stopping": Problem(
        503,
        "This server is stopping",
        "this server is about to stop: `/readyz`, or a request that had no response yet when "
        "`--drain-timeout` was over: a write **may have happened**",
        headers=_AGAIN,
    ),
    "outcome-unknown": Problem(
        503,
        "The outcome of the write is unknown",
        "the store did not report in time whether the write happened; **it may have, or may "
        "yet**: read the record again",
        headers=_AGAIN,
        is_logged=True,
    ),
}


def problem_of(error: GuidkeepError | type[GuidkeepError]) -> Problem:
    """Returns the row of an error, or of a class of errors."""
    return PROBLEMS[error.code]
