"""How a store on a server is opened: the server may not be there yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import structlog

from guidkeep.errors import StartupError
from guidkeep.stores.remote.failures import Failure, Unreached
from guidkeep.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.stores.remote.failures import Codes
    from guidkeep.urls import Address

log = structlog.get_logger("guidkeep.stores")

Result = TypeVar("Result")

START_TIMES = 3
"""A server that can't be reached is waited for so many times as long as the store may take."""
BACKOFF = Backoff(first=0.1, longest=1.0)
MOST_CONNECTIONS = 1000


def take_connections(address: Address, default: int, *, former: str = "") -> int:
    """Reads the parameter `connections`, the most that a store may open.

    Args:
        address: what the URL says.
        default: without the parameter.
        former: another name of it, which was once the only one.

    Raises:
        StartupError: it is no number, or out of range.
    """
    name = former if former in address.parameters else "connections"
    return address.take(name, connections_of, str(default))


def connections_of(text: str) -> int:
    """Reads a number of connections; raises ValueError."""
    size = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= size <= MOST_CONNECTIONS:
        raise ValueError(f"It is a number from 1 to {MOST_CONNECTIONS}.")
    return size


def is_late(failure: Failure) -> bool:
    """Whether a connection was there, and the time ran out."""
    return not failure.code and not isinstance(failure, Unreached)


async def started(
    attempt: Callable[[float], Awaitable[Result]],
    *,
    codes: Codes,
    place: str,
    timeout: float,
    advice: Callable[[Failure], str],
) -> Result:
    """Makes the attempt, again and again while the server can't be reached, or is late.

    Args:
        attempt: connects, and makes or checks the tables, until that time of the loop.
        codes: what the engine's error codes mean.
        place: the store's URL, as it may be shown.
        timeout: seconds that each attempt has.
        advice: says what helps against a failure.

    Raises:
        StartupError: the server did not come within `START_TIMES` times that, or refuses.
    """
    loop = asyncio.get_running_loop()
    # Each attempt has all its time: the error of one that is cut short hides what is wrong.
    last = loop.time() + (START_TIMES - 1) * timeout
    retry = 0
    while True:
        try:
            return await attempt(loop.time() + timeout)
        except Failure as failure:
            may_pass = failure.again or failure.code in codes.passing or is_late(failure)
            pause = BACKOFF.seconds(retry)
            if not may_pass or loop.time() + pause >= last:
                tried = f", tried for {START_TIMES * timeout:g} s" if may_pass else ""
                said = f"Can't use the store {place}{tried}: {failure.detail}. {advice(failure)}"
                raise StartupError(said.rstrip()) from failure
            log.warning("waiting for the store", url=place, error=str(failure))
        await asyncio.sleep(pause)
        retry += 1
