"""Everything that can go wrong, as a tree; each error knows its HTTP status and problem type.

This is the one table from errors to statuses. `title` names the kind and never changes;
the message is the `detail` of the problem (RFC 9457): a sentence that says what was wrong
and what would be right.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Iterator, Mapping, Sequence


TYPE_PREFIX = "urn:guidkeep:problem:"
"""What a problem's `type` begins with (RFC 9457 §3.1.1); the error's own `type` follows."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request.

    Attributes:
        detail: a sentence, what is wrong and what would be right.
        pointer: where in the body, as a JSON Pointer (RFC 6901); `""` is the whole body.
        parameter: for a fault outside the body: the name of the path or query parameter.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None

    def as_json(self) -> dict[str, str]:
        """The fault as a member of a problem's `errors`."""
        place = {"pointer": self.pointer, "parameter": self.parameter}
        return {name: at for name, at in place.items() if at is not None} | {"detail": self.detail}


class GuidkeepError(Exception):
    """What every error of Guidkeep's is. One that is none of those below is a 500."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    request_id: str | None = None
    """On the client's side: the id under which the service's log has the details."""

    @property
    def detail(self) -> str:
        """The sentence for the client."""
        return str(self)

    @property
    def faults(self) -> Sequence[Fault]:
        """The faults of the request one by one, where there are any."""
        return ()

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that belong to the answer."""
        return {}


MOST_FAULTS = 50
"""Faults of one request that are told."""
LONGEST_DETAIL = 1000
"""Characters from which on a problem's `detail` leaves the other faults to `errors`."""


def _first(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """As many as are told: a body of 64 KiB can have thousands."""
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

    status = 400
    type = "invalid-request"
    title = "The request is not valid"

    def __init__(self, faults: Sequence[Fault] | str) -> None:
        """`faults` are all that is wrong with the request, or one sentence for the whole of it."""
        self._faults: Sequence[Fault] = () if isinstance(faults, str) else _first(faults)
        super().__init__(faults if isinstance(faults, str) else _sentences(self._faults))

    @property
    def faults(self) -> Sequence[Fault]:
        """Everything that is wrong, one by one."""
        return self._faults


class CrossSiteRefused(GuidkeepError):
    """A browser page of another origin tried to read or to write."""

    status = 403
    type = "cross-site-refused"
    title = "Requests from this site are not allowed"


class NotFound(GuidkeepError):
    """There is no live record of that GUID."""

    status = 404
    type = "not-found"
    title = "Not found"


class NoSuchAddress(GuidkeepError):
    """There is no route at that address: whoever asks for a record there has a wrong base URL."""

    status = 404
    type = "no-such-address"
    title = "There is nothing at this address"


class MethodNotAllowed(GuidkeepError):
    """The address exists and does not know the method."""

    status = 405
    type = "method-not-allowed"
    title = "Method not allowed"

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        """`allowed` are the methods that the address knows."""
        self._allow = ", ".join(sorted(allowed))
        super().__init__(f"{method} is not allowed here; what is: {self._allow}.")

    @property
    def headers(self) -> Mapping[str, str]:
        """`Allow`, as RFC 9110 §15.5.6 asks."""
        return {"allow": self._allow}


class RequestTimeout(GuidkeepError):
    """The client took too long to send its request."""

    status = 408
    type = "request-timeout"
    title = "The request took too long to arrive"


class PreconditionFailed(GuidkeepError):
    """`If-Match` or `If-None-Match` does not hold."""

    status = 412
    type = "precondition-failed"
    title = "Precondition failed"


class BodyTooLarge(GuidkeepError):
    """The body is larger than `--max-body`."""

    status = 413
    type = "body-too-large"
    title = "The body is too large"


class EncodedBody(GuidkeepError):
    """The body is compressed, or encoded in another way (`Content-Encoding`)."""

    status = 415
    type = "encoded-body"
    title = "The body must not be encoded"

    @property
    def headers(self) -> Mapping[str, str]:
        """What would be right, as RFC 9110 §12.5.3 asks."""
        return {"accept-encoding": "identity"}


class MisdirectedRequest(GuidkeepError):
    """The request names a host that this server does not answer to."""

    status = 421
    type = "misdirected-request"
    title = "This server does not answer to that host"


class TemporaryError(GuidkeepError):
    """What may be well again in a moment."""

    @property
    def headers(self) -> Mapping[str, str]:
        """When it is worth another try."""
        return {"retry-after": "1"}


class TooManyRequests(TemporaryError):
    """More is asked for at once than a limit allows: `--max-pending`, `--max-memory`, ..."""

    status = 429
    type = "too-many-requests"
    title = "Too many requests"


class HeadersTooLarge(GuidkeepError):
    """The request line and headers are larger than the server reads."""

    status = 431
    type = "headers-too-large"
    title = "The request's headers are too large"


class StoreUnavailable(TemporaryError):
    """The store can't answer, or not in time. Nothing was written."""

    status = 503
    type = "store-unavailable"
    title = "The store can't answer"


def unreadable() -> StoreUnavailable:
    """The error for a read that failed in the store."""
    return StoreUnavailable("The store can't be read at the moment.")


def unwritable() -> StoreUnavailable:
    """The error for a write that failed in the store and certainly wrote nothing."""
    return StoreUnavailable("The store can't write at the moment; nothing was written.")


class Stopping(TemporaryError):
    """This server is about to stop, and is no longer ready for requests."""

    status = 503
    type = "stopping"
    title = "This server is stopping"


class OutcomeUnknown(StoreUnavailable):
    """The store did not say in time whether a write happened; it may have, or may yet.

    `settled`, where the store can tell later, is done once the outcome is certain: until
    then nobody may believe what a cache says of that GUID. Without it the registry makes
    certain by itself (see `guidkeep.registry.fencing`).
    """

    type = "outcome-unknown"
    title = "The outcome of the write is unknown"

    def __init__(self, message: str, settled: Future[Any] | None = None) -> None:
        """`settled` is done when the write can no longer happen behind one's back."""
        super().__init__(message)
        self.settled = settled


class StartupError(GuidkeepError):
    """Guidkeep can't start as it was told to; the message says why and what would help."""


class ClientSideError(GuidkeepError):
    """What only the client raises, for no problem of the service's says it."""


class Unreachable(ClientSideError):
    """The service can't be reached, or does not answer in time. Nothing was written."""

    type = "unreachable"
    title = "The service can't be reached"


class UnknownAnswer(ClientSideError):
    """The answer is none of Guidkeep's: something else answers at that address.

    Attributes:
        answered: the HTTP status of the answer.
    """

    type = "unknown-answer"
    title = "The answer is none of Guidkeep's"

    def __init__(self, message: str, answered: int) -> None:
        """`answered` is the status."""
        super().__init__(message)
        self.answered = answered


@cache
def problems() -> Mapping[str, type[GuidkeepError]]:
    """Every error that the service answers with, by its problem type."""
    return {kind.type: kind for kind in _answered(GuidkeepError)}


def _answered(kind: type[GuidkeepError]) -> Iterator[type[GuidkeepError]]:
    """The kind, after those that it is a base of: one without a type has that of its own base."""
    if not issubclass(kind, ClientSideError | StartupError):
        for special in kind.__subclasses__():
            yield from _answered(special)
        yield kind
