"""What a failure means for the operation that met it: one classification for all servers.

- *Not sent*: the statement did not reach the server, or the server says that it did not begin it.
- *Refused*: the server responded with an error and changed nothing.
- *In doubt*: the statement was sent, and no response says what became of it. It may have been
  done, or may be yet.

A driver reports facts, an engine's `Codes` say what its error codes mean, and `judge` decides. A
write that is in doubt must never count as one of the others: the cache would keep what it
replaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import structlog

from guidkeep.errors import StoreUnavailable, unconfirmed, unreadable, unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Container

log = structlog.get_logger("guidkeep.stores")


class Failure(Exception):
    """A statement failed; its text holds no value of a record, so it may be logged.

    Attributes:
        code: the error's code, the server's or the driver's; empty: it has none.
        again: whether the same statement may succeed if it is sent again at once.
        detail: the server's own words, which may quote a record; for the start, which sends none.
    """

    def __init__(
        self, text: str, *, code: str = "", again: bool = False, detail: str | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        self.again = again
        self.detail = text if detail is None else detail


class NotSent(Failure):
    """The server did not begin the statement: nothing was written."""


class Unreached(NotSent):
    """There was no connection to send it on; the pool has logged that, once for all statements."""


class Refused(Failure):
    """The server responded with an error: nothing was written."""


class InDoubt(Failure):
    """The statement was sent, and nobody knows whether it was done, or will be."""


class Report(NamedTuple):
    """What a driver's error says.

    Attributes:
        text: for a log; it holds no value of a record.
        code: the server's code, or the driver's; empty: it has none.
        is_response: whether the server responded with this error.
        nothing_done: whether the driver knows that nothing was changed.
        is_lost: whether the connection broke.
        is_passing: whether a server that can't be reached may be reachable in a moment.
        detail: see `Failure`.
    """

    text: str
    code: str = ""
    is_response: bool = False
    nothing_done: bool = False
    is_lost: bool = False
    is_passing: bool = False
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """What the error codes of an engine mean.

    Attributes:
        is_certain: whether a response with this code says that nothing was changed.
        again: of statements that lost against another transaction and may be sent again.
        unbegun: of statements that the server, or the driver, did not begin.
        full: of a server that takes no more connections.
        unfit: of a server that can serve nobody at the moment, on any connection.
        passing: of a server that may let a connection in, or do a statement, a little later.
        keeps: whether a connection is as good as before after a response with this code. After
            others the next may lead to another server: a replica that became the primary.
    """

    is_certain: Callable[[str], bool]
    again: Container[str]
    unbegun: Container[str]
    full: Container[str]
    unfit: Container[str] = ()
    passing: Container[str]
    keeps: Callable[[str], bool]


def judge(report: Report, codes: Codes, *, sent: bool) -> Failure:
    """Decides what a failure means for its statement.

    Args:
        report: what the driver says.
        codes: the engine's.
        sent: whether the statement may have reached the server.
    """
    if report.code in codes.unbegun:
        kind: type[Failure] = NotSent
    elif report.nothing_done or (
        report.is_response and (not sent or codes.is_certain(report.code))
    ):
        kind = Refused
    else:
        kind = InDoubt if sent else NotSent
    again = report.is_lost or report.code in codes.again
    return kind(report.text, code=report.code, again=again, detail=report.detail)


def unreached(report: Report, codes: Codes) -> Unreached:
    """The failure of an attempt to connect."""
    again = report.is_passing or report.code in codes.passing
    return Unreached(
        f"can't connect: {report.text}",
        code=report.code,
        again=again,
        detail=f"can't connect: {report.detail or report.text}",
    )


def read_error(failure: Failure) -> StoreUnavailable:
    """The error for a read that failed; logs the failure."""
    return _because(unreadable(), failure)


def write_error(failure: Failure) -> StoreUnavailable:
    """The error for a write that failed: nothing was written, or its outcome is unknown.

    It logs the failure.
    """
    if isinstance(failure, InDoubt):
        return _because(unconfirmed(), failure)
    return _because(unwritable(), failure)


def _because(error: StoreUnavailable, failure: Failure) -> StoreUnavailable:
    if not isinstance(failure, Unreached):
        log.error("store failed", error=str(failure), code=failure.code)
    error.__cause__ = failure
    return error
