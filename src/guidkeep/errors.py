"""The errors, as a tree of classes. Each kind of error has a code, which never changes.

The message is a sentence: what was wrong, and what would be right. The table in
`guidkeep.wire.problems` has the form of each in a response.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Iterable, Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Fault:
    """A single fault of a request.

    Attributes:
        detail: a sentence: what is wrong, and what would be right.
        pointer: the place in the body, as a JSON Pointer (RFC 6901); `""` is the whole body.
        parameter: for a fault outside the body, the name of the path or query parameter.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None

    def as_json(self) -> dict[str, str]:
        """Returns the fault as a JSON object."""
        place = {"pointer": self.pointer, "parameter": self.parameter}
        return {name: at for name, at in place.items() if at is not None} | {"detail": self.detail}


class GuidkeepError(Exception):
    """The base of all errors of Guidkeep. Raised itself, it is a fault inside the service."""

    code: ClassVar[str] = "internal"

    request_id: str | None = None
    """In the client: the id of the request in the service's log."""

    @property
    def detail(self) -> str:
        """The sentence for the client."""
        return str(self)

    @property
    def faults(self) -> Sequence[Fault]:
        """The single faults of the request; may be empty."""
        return ()


MOST_FAULTS = 50
"""Maximum number of reported faults of one request."""
LONGEST_DETAIL = 1000
"""Maximum characters of a problem's `detail`; the remaining faults are only in `errors`."""


def _first(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """The first `MOST_FAULTS` faults: a body of 64 KiB can have thousands."""
    if len(faults) <= MOST_FAULTS:
        return tuple(faults)
    more = len(faults) - MOST_FAULTS
    return (*faults[:MOST_FAULTS], Fault(f"{more} more things are wrong.", pointer=""))


def _sentences(faults: Sequence[Fault]) -> str:
    said = ""
    for fault in faults:
        if said and len(said) + len(fault.detail) > LONGEST_DETAIL:
            return f"{said} There is more: see errors."
        said = f"{said} {fault.detail}" if said else fault.detail
    return said


class InvalidRequest(GuidkeepError):
    """The request is malformed, or its content is not valid."""

    code = "invalid-request"

    def __init__(self, faults: Sequence[Fault] | str) -> None:
        """`faults` are all faults of the request, or one sentence about the whole request."""
        self._faults: Sequence[Fault] = () if isinstance(faults, str) else _first(faults)
        super().__init__(faults if isinstance(faults, str) else _sentences(self._faults))

    @property
    def faults(self) -> Sequence[Fault]:
        """The single faults of the request."""
        return self._faults


class CrossSiteRefused(GuidkeepError):
    """A browser page of another origin tried to read or to write."""

    code = "cross-site-refused"


class NotFound(GuidkeepError):
    """There is no live record of that GUID."""

    code = "not-found"


class NoSuchAddress(GuidkeepError):
    """There is no route at that address. A client that reads records there has a wrong base URL."""

    code = "no-such-address"


class MethodNotAllowed(GuidkeepError):
    """The address exists, but does not allow the method.

    Attributes:
        allowed: the allowed methods, sorted.
    """

    code = "method-not-allowed"

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        """`allowed` are the methods that the address allows."""
        self.allowed = sorted(allowed)
        super().__init__(f"{method} is not allowed here; allowed: {', '.join(self.allowed)}.")


class RequestTimeout(GuidkeepError):
    """The client took too long to send its request."""

    code = "request-timeout"


class PreconditionFailed(GuidkeepError):
    """The record's version does not match the request's condition. Nothing was changed."""

    code = "precondition-failed"


class BodyTooLarge(GuidkeepError):
    """The body is larger than `--max-body`."""

    code = "body-too-large"


class EncodedBody(GuidkeepError):
    """The body is compressed, or encoded in another way."""

    code = "encoded-body"


class MisdirectedRequest(GuidkeepError):
    """The request names a host that is not allowed here."""

    code = "misdirected-request"


class TemporaryError(GuidkeepError):
    """The request may succeed if it is sent again in a moment."""


class TooManyRequests(TemporaryError):
    """A limit on concurrent requests is reached: `--max-pending`, `--max-memory`, ..."""

    code = "too-many-requests"


class HeadersTooLarge(GuidkeepError):
    """The request line and headers are larger than the server reads."""

    code = "headers-too-large"


class StoreUnavailable(TemporaryError):
    """The store can't answer, or not in time. Nothing was written."""

    code = "store-unavailable"


def unreadable() -> StoreUnavailable:
    """The error for a read that failed in the store."""
    return StoreUnavailable("The store can't be read at the moment.")


def unwritable() -> StoreUnavailable:
    """The error for a write that failed in the store and certainly wrote nothing."""
    return StoreUnavailable("The store can't write at the moment; nothing was written.")


class Stopping(TemporaryError):
    """This server is about to stop, and is no longer ready for requests."""

    code = "stopping"


class OutcomeUnknown(StoreUnavailable):
    """A write is in doubt: the store did not respond in time. It may have happened, or may still.

    `settled`, if the store can find out later, is done once the outcome is certain. Until then the
    cache must not be trusted for that GUID. Without it the registry raises a fence (see
    `guidkeep.registry.fencing`).
    """

    code = "outcome-unknown"

    def __init__(self, message: str, settled: Future[Any] | None = None) -> None:
        """`settled` is done when the write can't happen any more."""
        super().__init__(message)
        self.settled = settled


def unconfirmed() -> OutcomeUnknown:
    """The error for a write that may have happened, or may yet."""
    return OutcomeUnknown(
        "The store did not say whether it was written: that is unknown. Read it again."
    )


class StartupError(GuidkeepError):
    """Guidkeep can't start with these settings; the message says why, and what would help."""


class ClientSideError(GuidkeepError):
    """An error that only the client raises; the service has no such problem."""


class Unreachable(ClientSideError):
    """The service can't be reached, or does not respond in time. Nothing was written."""

    code = "unreachable"


class UnknownAnswer(ClientSideError):
    """The response is not Guidkeep's: something else is at that address.

    Attributes:
        answered: the status of the response.
    """

    code = "unknown-answer"

    def __init__(self, message: str, answered: int) -> None:
        """`answered` is that status."""
        super().__init__(message)
        self.answered = answered


@cache
def by_code() -> Mapping[str, type[GuidkeepError]]:
    """Returns every kind of error that the service can raise, by its code."""
    return {kind.code: kind for kind in _raised(GuidkeepError)}


def _raised(kind: type[GuidkeepError]) -> Iterator[type[GuidkeepError]]:
    """Yields the kind after its subclasses, because a class without a code has that of its base."""
    if not issubclass(kind, ClientSideError | StartupError):
        for special in kind.__subclasses__():
            yield from _raised(special)
        yield kind
