"""What the client's operations and its transports say to each other.

An operation is a generator. It yields what it wants done, a `Request` to be sent or a `Pause` to be
made, is sent what came of it, and returns its result. It does no I/O and reads no clock but the one
it was given, so one implementation serves `Client`, `AsyncClient` and the tests.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guidkeep.client.models import Record


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is to be sent.

    Attributes:
        method: as in `GET`.
        path: below the service's address, with the query, percent-encoded.
        body: the content.
        headers: those that the request has of its own.
        timeout: seconds that may pass until the response is there; None: any time.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """What the service, or something in front of it, answered.

    Attributes:
        status: the HTTP status.
        headers: by lower-case name.
        body: the content; empty if it is taken piece by piece, with `More`.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no response.

    Attributes:
        reason: why, as a part of a sentence.
        was_sent: whether the service may have got the request.
        cause: what the transport raised.
    """

    reason: str
    was_sent: bool
    cause: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is to be done for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class More:
    """The next piece of the streamed response is wanted: bytes, empty at the end, or `Lost`."""


@dataclass(frozen=True, slots=True)
class Give:
    """Records for whoever iterates."""

    records: Sequence[Record]


Result = TypeVar("Result")

Steps = Generator[Request | Pause, Any, Result]
"""An operation: is sent a `Response` or `Lost` for a request, None for a pause."""

Stream = Generator[Request | Pause | More | Give, Any, None]
"""An operation that gives record after record."""
