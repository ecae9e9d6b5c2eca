"""The protocol between the client's operations and its transports.

An operation is a generator. It yields an action, such as a `Request` to send or a `Pause` to make,
receives the result of the action, and returns its own result. It does no I/O and reads only the
clock that it was given, so one implementation serves `Client`, `AsyncClient` and the tests.
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
    """A request to send.

    Attributes:
        method: as in `GET`.
        path: below the service's address, with the query, percent-encoded.
        body: the content.
        headers: the headers of this request.
        timeout: seconds until the response must have arrived; None: no limit.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A response of the service, or of a proxy in front of it.

    Attributes:
        status: the HTTP status.
        headers: by lower-case name.
        body: the content; empty if it is read piece by piece, with `More`.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Lost:
    """The failure of a request without a response.

    Attributes:
        reason: the reason, as a part of a sentence.
        was_sent: whether the service may have received the request.
        cause: the transport's exception.
    """

    reason: str
    was_sent: bool
    cause: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class More:
    """A request for the next piece of a streamed response: bytes, empty at the end, or `Lost`."""


@dataclass(frozen=True, slots=True)
class Give:
    """Records for the caller that iterates."""

    records: Sequence[Record]


Result = TypeVar("Result")

Steps = Generator[Request | Pause, Any, Result]
"""An operation: receives a `Response` or `Lost` for a request, None for a pause."""

Stream = Generator[Request | Pause | More | Give, Any, None]
"""An operation that yields records."""
