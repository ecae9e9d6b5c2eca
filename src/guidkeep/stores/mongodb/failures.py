"""The meaning of the errors of MongoDB's driver."""

from __future__ import annotations

from pymongo.errors import (
    AutoReconnect,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WriteError,
)

from guidkeep.stores.remote.failures import Codes, Failure, Report, judge

_REFUSED = {
    "13": "Unauthorized",
    "18": "AuthenticationFailed",
    "73": "InvalidNamespace",
    "121": "DocumentValidationFailure",
}
CODES = Codes(
    is_certain=_REFUSED.__contains__,
    # The driver keeps the connections, and repeats operations itself.
    again=(),
    undone=(),
    temporary=(),
)
"""MongoDB has hundreds of codes; after any other code the outcome counts as unknown, which is never
wrong."""


_NO_ACCESS = frozenset({"13", "18"})


def advice(failure: Failure) -> str:
    """Returns the remedy for a failure at the start, or ""."""
    if failure.is_timeout:
        return "A server that accepts TLS only does not respond without ?tls=true."
    if failure.code in _NO_ACCESS:
        return "User or password is wrong, or the user may not write to this database."
    return ""


def failure_of(error: PyMongoError) -> Failure:
    """Returns the failure that an error means for its operation."""
    return judge(report(error), CODES, sent=not isinstance(error, ServerSelectionTimeoutError))


def report(error: PyMongoError) -> Report:
    """Returns the facts about an error; of a response the code alone, as its text may quote."""
    kind = type(error).__name__
    detail = "no server that accepts writes responded in time" if error.timeout else None
    if not isinstance(error, OperationFailure):
        return Report(
            f"{kind}: {error}",
            # Drivers and servers put this label on a write that certainly did nothing.
            nothing_done=error.has_error_label("NoWritesPerformed"),
            is_lost=isinstance(error, AutoReconnect) and not error.timeout,
            is_timeout=error.timeout,
            detail=detail,
        )
    code = str(error.code or "")
    name = (error.details or {}).get("codeName", "")
    is_written = isinstance(error, WriteConcernError)  # but not by a majority
    return Report(
        f"{kind} {name}".rstrip(),
        code=code,
        is_response=not is_written,
        nothing_done=isinstance(error, WriteError)
        or (not is_written and error.has_error_label("NoWritesPerformed")),
        is_timeout=error.timeout,
        detail=detail or f"the server responded with the error {name or code}",
    )
