"""The outcome of a failed operation: one classification for all servers.

- *Not sent*: the statement did not reach the server, or the server did not begin it.
- *Refused*: the server responded with an error and changed nothing.
- *In doubt*: the statement was sent, and no response gives its outcome. The server may have run
  it, or may run it later.

An adapter reports facts, an engine's `Codes` give the meaning of its error codes, and `judge`
decides. A write in doubt must never count as refused or not sent: the cache would then keep the
record that it replaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import structlog

from guidkeep.errors import StoreUnavailable, unconfirmed, unreadable, unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Container

log = structlog.get_logger(__name__)


class Failure(Exception):
    """A statement failed. The text holds no value of a record, so it may be logged.

    Attributes:
        code: the error code of the server or the driver; empty: it has none.
        again: whether the same statement may succeed if it is sent again at once.
        is_timeout: whether its time ran out.
        detail: the server's message, which may quote a record; used only at the start, which
            sends no records.
    """

    def __init__(
        self,
        text: str,
        *,
        code: str = "",
        again: bool = False,
        is_timeout: bool = False,
        detail: str | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.again = again
        self.is_timeout = is_timeout
        self.detail = text if detail is None else detail


class NotSent(Failure):
    """The statement did not reach the server, or the server left it undone: nothing was written."""


class Unreached(NotSent):
    """There was no connection to send it on. The pool logs this once for all statements."""


class Refused(Failure):
    """The server responded with an error: nothing was written."""


class InDoubt(Failure):
    """The statement was sent, and it is unknown whether the server ran it or will run it."""


class Report(NamedTuple):
    """The facts about an error of a driver.

    Attributes:
        text: for the log; it holds no value of a record.
        code: the error code of the server or the driver; empty: it has none.
        is_response: whether the error is the server's response.
        nothing_done: whether the driver knows that nothing was changed.
        is_lost: whether the connection broke.
        is_temporary: whether a server that can't be reached may be reachable soon.
        is_timeout: whether the time ran out.
        detail: see `Failure`.
    """

    text: str
    code: str = ""
    is_response: bool = False
    nothing_done: bool = False
    is_lost: bool = False
    is_temporary: bool = False
    is_timeout: bool = False
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """The meaning of an engine's error codes.

    Attributes:
        is_certain: whether a response with this code means that nothing was changed.
        again: the statement lost against another transaction and may be sent again.
        undone: the server, or the driver, did not begin the statement, or gave it up undone.
        temporary: the server may soon accept the connection, or run the statement.
    """

    is_certain: Callable[[str], bool]
    again: Container[str]
    undone: Container[str]
    temporary: Container[str]


def judge(report: Report, codes: Codes, *, sent: bool) -> Failure:
    """Decides the outcome of a failed statement.

    Args:
        report: the facts from the adapter.
        codes: the engine's error codes.
        sent: whether the statement may have reached the server.
    """
    if report.code in codes.undone:
        kind: type[Failure] = NotSent
    elif report.nothing_done or (
        report.is_response and (not sent or codes.is_certain(report.code))
    ):
        kind = Refused
    else:
        kind = InDoubt if sent else NotSent
    again = report.is_lost or report.code in codes.again
    return kind(
        report.text,
        code=report.code,
        again=again,
        is_timeout=report.is_timeout,
        detail=report.detail,
    )


def unreached(report: Report, codes: Codes) -> Unreached:
    """Returns the failure of an attempt to connect."""
    again = report.is_temporary or report.code in codes.temporary
    return Unreached(
        f"can't connect: {report.text}",
        code=report.code,
        again=again,
        detail=f"can't connect: {report.detail or report.text}",
    )


def read_error(failure: Failure) -> StoreUnavailable:
    """Returns the error for a read that failed, and logs the failure."""
    return _because(unreadable(), failure)


def write_error(failure: Failure) -> StoreUnavailable:
    """Returns the error for a write that failed, and logs the failure.

    The error says that nothing was written, or that the outcome is unknown.
    """
    if isinstance(failure, InDoubt):
        return _because(unconfirmed(), failure)
    return _because(unwritable(), failure)


def _because(error: StoreUnavailable, failure: Failure) -> StoreUnavailable:
    if not isinstance(failure, Unreached):
        log.error("store failed", error=str(failure), code=failure.code)
    error.__cause__ = failure
    return error
