"""When a request is repeated, and after which pause.

*Safety.* A request can always be repeated if the service did not get it, or reports that nothing
was done: no connection, 408, 429, and a 503 of the type `store-unavailable`. After a lost
connection, a timeout, a 503 with an unknown outcome, or a 500, 502, 504 or similar of a proxy, it
is unknown whether the request was done. Then it is repeated only if it is idempotent: reads, and
unconditional writes. There is one exception: a null is kept when the record is created, but a
second merge removes it, so a request that creates or updates a given GUID and has a null is not
repeated. A write with `if_match` is not repeated either: if the first attempt succeeded, the second
would fail because the record has changed, and the caller could not distinguish that from another
client's change.

*The repeat's `ttl`.* A `ttl` counts from the first attempt that may have been done: a repeat sends
the rest, so that the record does not live longer than requested.

*Pauses.* As `Retry-After` says, otherwise doubled after each attempt; both with a random part, so
that clients that were refused at the same time do not return at the same time.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from guidkeep.client.responses import BROKEN, REFUSED, error_of, problem_type
from guidkeep.client.sansio import Lost, Pause, Response
from guidkeep.errors import OutcomeUnknown, StoreUnavailable, Unreachable
from guidkeep.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.client.sansio import Request, Steps
    from guidkeep.errors import GuidkeepError

BACKOFF = Backoff(first=0.1, longest=5.0, spread=1.0)
"""The pauses before further attempts, without a `Retry-After`."""

SAFE_METHODS = frozenset({"GET", "HEAD"})
_NOTHING_DONE = frozenset({408, 429})
_OPEN = frozenset({502, 503, 504, *range(520, 531)})
"""Statuses above 504 are Cloudflare's."""
_NOT_IMPLEMENTED = frozenset({501, 505})


@dataclass(frozen=True, slots=True)
class Patience:
    """The limits of an operation's attempts.

    Attributes:
        timeout: seconds for the operation, including pauses; None: no limit.
        attempts: the largest number of attempts.
        clock: returns seconds, from any origin.
        wall: returns Unix time, for a `Retry-After` that is a date.
        chance: returns a random number from 0 to 1.
    """

    timeout: float | None = 30.0
    attempts: int = 5
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random


class Outcome(NamedTuple):
    """The final response of a request.

    Attributes:
        response: the response of the last attempt.
        is_repeated: whether an earlier attempt may have been done too.
    """

    response: Response
    is_repeated: bool


class Attempts:
    """The attempts of one operation."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._made = 0
        self._began = self._sent = patience.clock()
        self._open_since: float | None = None

    @property
    def left(self) -> float | None:
        """The seconds that are left; None: no limit."""
        limit = self._patience.timeout
        return None if limit is None else max(self._began + limit - self._patience.clock(), 0.001)

    @property
    def may_be_done(self) -> bool:
        """Whether an attempt without a response may have been done."""
        return self._open_since is not None

    @property
    def age(self) -> int:
        """Whole seconds since the first attempt that may have been done."""
        return 0 if self._open_since is None else int(self._patience.clock() - self._open_since)

    def forget(self) -> None:
        """Forgets earlier requests: later attempts do not repeat them."""
        self._open_since = None

    def begin(self) -> None:
        """Counts an attempt."""
        self._sent = self._patience.clock()

    def pause(self, came: Response | Lost, *, is_repeatable: bool) -> Pause | None:
        """Returns the pause before the next attempt; None: there shall be none."""
        is_open = _is_open(came)
        if is_open and self._open_since is None:
            self._open_since = self._sent
        if is_open and not is_repeatable:
            return None
        if isinstance(came, Response) and came.status not in _OPEN | _NOTHING_DONE:
            return None
        return self.next_pause(self._asked_for(came))

    def next_pause(self, asked_for: float) -> Pause | None:
        """Returns the pause before one more attempt, at least `asked_for`; None: none is left."""
        self._made += 1
        if self._made >= self._patience.attempts:
            return None
        seconds = asked_for + BACKOFF.seconds(self._made - 1, self._patience.chance)
        return None if self.left is not None and seconds >= self.left else Pause(seconds)

    def _asked_for(self, came: Response | Lost) -> float:
        """Returns the seconds in `Retry-After` (RFC 9110 §10.2.3), or 0."""
        text = came.headers.get("retry-after", "") if isinstance(came, Response) else ""
        if text.isascii() and text.isdigit():
            return float(text)
        try:
            return max(parsedate_to_datetime(text).timestamp() - self._patience.wall(), 0)
        except ValueError:
            return 0


def exchange(
    request: Callable[[float | None], Request], attempts: Attempts, *, is_repeatable: bool
) -> Steps[Outcome]:
    """Sends a request, and repeats it if that is safe and useful; returns the final response.

    Args:
        request: makes the request, given the seconds that are left.
        attempts: the attempts so far, and their limits.
        is_repeatable: whether the request is idempotent.

    Raises:
        Unreachable: there is no response, and nothing was done.
        OutcomeUnknown: there is no response, and the write may have been done.
    """
    while True:
        sent = request(attempts.left)
        attempts.begin()
        was_open = attempts.may_be_done
        came: Response | Lost = yield sent
        pause = attempts.pause(came, is_repeatable=is_repeatable)
        if pause is not None:
            yield pause
        elif isinstance(came, Response) and _is_final(came, sent.method, was_open=was_open):
            return Outcome(came, was_open)
        else:
            raise failure(sent.method, came, attempts)


def failure(method: str, came: Response | Lost, attempts: Attempts) -> GuidkeepError:
    """Returns the error for a request without a usable response."""
    told = Unreachable(came.reason) if isinstance(came, Lost) else error_of(came)
    error: GuidkeepError
    if attempts.may_be_done and method not in SAFE_METHODS:
        error = OutcomeUnknown(f"The write may have happened, or may yet. {told.detail}")
    else:
        error = Unreachable(f"{told.detail} This request wrote nothing.")
    error.request_id = told.request_id
    error.__cause__ = came.cause if isinstance(came, Lost) else None
    return error


def _is_final(came: Response, method: str, *, was_open: bool) -> bool:
    """Returns whether the response gives the operation's outcome."""
    if _is_nothing_done(came):
        return not was_open  # for this attempt, but not for an earlier one
    if method in SAFE_METHODS or problem_type(came) == OutcomeUnknown.code:
        return True
    # For a write, a gateway's 502 and a 503 `stopping` do not: it may have been done.
    return not _is_open(came) and not (was_open and _is_strange(came))


def _is_nothing_done(response: Response) -> bool:
    return response.status in _NOTHING_DONE or (
        response.status in _OPEN and problem_type(response) == StoreUnavailable.code
    )


def _is_open(came: Response | Lost) -> bool:
    """Returns whether the request may have been done."""
    if isinstance(came, Lost):
        return came.was_sent
    if came.status in _OPEN:
        return not _is_nothing_done(came)
    return came.status >= BROKEN and came.status not in _NOT_IMPLEMENTED and _is_strange(came)


def _is_strange(came: Response) -> bool:
    """Returns whether a proxy, and not Guidkeep, refused the request."""
    return came.status >= REFUSED and problem_type(came) is None
