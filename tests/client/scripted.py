"""A scripted service, for operations that a test drives by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from guidkeep.client.operations import Operations
from guidkeep.client.retry import Patience
from guidkeep.client.sansio import Give, Lost, More, Pause, Request, Response
from guidkeep.errors import (
    GuidkeepError,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    RequestTimeout,
    Stopping,
    StoreUnavailable,
    TooManyRequests,
)
from guidkeep.http import problems

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


GUID = "9094E4C980C74043A4B586B420E69DDF"
RECORD = {"guid": GUID, "expire": "4102444800", "user": "Ann"}
NO_CONNECTION = Lost("There is no connection.", was_sent=False)
NO_ANSWER = Lost("The connection was lost.", was_sent=True)


def response(status: int, document: Any = None, **headers: str) -> Response:
    """Returns a response with that JSON, by default a record."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = b"" if status in (204, 304) else json.dumps(document or RECORD).encode()
    return Response(status, {"etag": '"1"', **named}, body)


def problem(error: GuidkeepError, **headers: str) -> Response:
    """Returns the response with which the service reports an error."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = problems.response_of(error, "id")
    return Response(sent.status, named, sent.body)


@dataclass
class Script:
    """The results of requests and pieces, in order; and the requests and pauses so far."""

    come: Sequence[Any]
    patience: Patience = field(
        default_factory=lambda: Patience(clock=lambda: 0.0, wall=lambda: 0.0, chance=lambda: 0.5)
    )
    sent: list[Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    given: list[Any] = field(default_factory=list)

    @property
    def operations(self) -> Operations:
        """The operations under test."""
        return Operations(self.patience)

    def run(self, steps: Generator[Any, Any, Any]) -> Any:
        """Returns the operation's result, or raises its error; fails if results are left."""
        left = iter(self.come)
        came: Any = None
        try:
            while True:
                wanted = steps.send(came)
                came = None
                if isinstance(wanted, Request):
                    self.sent.append(wanted)
                    came = next(left)
                elif isinstance(wanted, More):
                    came = next(left)
                elif isinstance(wanted, Pause):
                    self.pauses.append(wanted.seconds)
                elif isinstance(wanted, Give):
                    self.given += [record.guid for record in wanted.records]
        except StopIteration as done:
            return done.value
        finally:
            assert next(left, None) is None, "not all was asked for"


AWAY = problem(StoreUnavailable("away"), retry_after="1")
OPEN = problem(OutcomeUnknown("who knows"), retry_after="1")
BUSY = problem(TooManyRequests("busy"))
LATE = problem(RequestTimeout("late"))
GATEWAY = Response(502, {"content-type": "text/html"}, b"<html>Bad gateway</html>")
GONE = problem(NotFound("There is none."))
TAKEN = problem(PreconditionFailed("It is there."))

NOTHING_DONE = {"no connection": NO_CONNECTION, "away": AWAY, "busy": BUSY, "late": LATE}
MAY_BE_DONE = {
    "no response": NO_ANSWER,
    "open": OPEN,
    "gateway": GATEWAY,
    "stopping": problem(Stopping("It stops.")),
}
