"""When a request is sent again, and after how long.

*What is safe.* A request that the service did not get, or of which it says that nothing was done,
can always be sent again: no connection, 408, 429, and a 503 of the type `store-unavailable`.
After a lost connection, a time-out, a 503 that leaves the outcome open, or a 500, 502, 504 or the
like of something in between, nobody knows whether it was done. Then only what does the same when it
is done twice is sent again: reads, and writes on no condition, but for one: a null that creates a
record is kept, and merged into it a second time it would be removed, so what creates or updates a
GUID of the caller's is not sent again if it has one. A write with `if_match` is not either, for if
the first attempt went through the second would be told that the record has changed, and the caller
could not tell that from somebody else's change.

*What a repeat says.* A `ttl` counts from the first attempt that may have been done: a repeat asks
for what is left of it, so that the record gets no more time than was asked for.

*How long.* As `Retry-After` says, else twice as long after each attempt; in both cases with a
random part, so that a crowd that was turned away together does not come back together.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from guidkeep.client.responses import BROKEN, REFUSED, error_of, problem_type
from guidkeep.client.sansio import Lost, Pause, Response
from guidkeep.errors import OutcomeUnknown, Unreachable
from guidkeep.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.client.sansio import Request, Steps
    from guidkeep.errors import GuidkeepError

BACKOFF = Backoff(first=0.1, longest=5.0, spread=1.0)
"""Before each further attempt, beside what `Retry-After` asks for."""

SAFE_METHODS = frozenset({"GET", "HEAD"})
_NOTHING_DONE = frozenset({408, 429})
_OPEN = frozenset({502, 503, 504, *range(520, 531)})
"""Those above 504 are Cloudflare's."""
_NOT_IMPLEMENTED = frozenset({501, 505})


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long an operation tries.

    Attributes:
        timeout: seconds for all of it, pauses included; None: any time.
        attempts: how often a request is sent at most.
        clock: returns seconds, from any beginning.
        wall: returns Unix time, for a `Retry-After` that is a date.
        chance: returns a random number from 0 to 1.
    """

    timeout: float | None = 30.0
    attempts: int = 5
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random


class Outcome(NamedTuple):
    """A response that is not repeated.

    Attributes:
        response: the last one.
        is_repeated: whether an attempt before it may have been done too.
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
        """Seconds that are left; None: any time."""
        limit = self._patience.timeout
        return None if limit is None else max(self._began + limit - self._patience.clock(), 0.001)

    @property
    def may_be_done(self) -> bool:
        """Whether one of them may have been done though nobody said so."""
        return self._open_since is not None

    @property
    def age(self) -> int:
        """Whole seconds since the first attempt that may have been done was sent."""
        return 0 if self._open_since is None else int(self._patience.clock() - self._open_since)

    def forget(self) -> None:
        """What was sent before is nothing that the following attempts repeat."""
        self._open_since = None

    def begin(self) -> None:
        """An attempt is sent."""
        self._sent = self._patience.clock()

    def pause(self, came: Response | Lost, *, is_repeatable: bool) -> Pause | None:
        """What is to be waited for before the next attempt; None: there shall be none."""
        is_open = _is_open(came)
        if is_open and self._open_since is None:
            self._open_since = self._sent
        if is_open and not is_repeatable:
            return None
        if isinstance(came, Response) and came.status not in _OPEN | _NOTHING_DONE:
            return None
        return self.next_pause(self._asked_for(came))

    def next_pause(self, asked_for: float) -> Pause | None:
        """The pause before one more attempt, so many seconds at least; None: none is left."""
        self._made += 1
        if self._made >= self._patience.attempts:
            return None
        seconds = asked_for + BACKOFF.seconds(self._made - 1, self._patience.chance)
        return None if self.left is not None and seconds >= self.left else Pause(seconds)

    def _asked_for(self, came: Response | Lost) -> float:
        """Seconds that `Retry-After` names (RFC 9110 §10.2.3), or 0."""
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
    """Sends a request, again if that is safe and of use; returns the response that remains.

    Args:
        request: makes it, told how many seconds are left.
        attempts: those that were made already, and how many there may be.
        is_repeatable: whether it may be done twice.

    Raises:
        Unreachable: there is no response, and nothing was done.
        OutcomeUnknown: there is none, and the write may have been done.
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
    """What is raised when there is no response to go by."""
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
    """Whether the response says what became of the operation."""
    if _is_nothing_done(came):
        return not was_open  # of this attempt, but not of the one before
    if method in SAFE_METHODS or problem_type(came) == OutcomeUnknown.code:
        return True
    # To a write, a gateway's 502 and a 503 `stopping` are none: it may have been done behind them.
    return not _is_open(came) and not (was_open and _is_strange(came))


def _is_nothing_done(response: Response) -> bool:
    return response.status in _NOTHING_DONE or (
        response.status in _OPEN and problem_type(response) == "store-unavailable"
    )


def _is_open(came: Response | Lost) -> bool:
    """Whether the request may have been done though nobody says so."""
    if isinstance(came, Lost):
        return came.was_sent
    if came.status in _OPEN:
        return not _is_nothing_done(came)
    return came.status >= BROKEN and came.status not in _NOT_IMPLEMENTED and _is_strange(came)


def _is_strange(came: Response) -> bool:
    """Whether something in between refused the request, and not Guidkeep."""
    return came.status >= REFUSED and problem_type(came) is None
