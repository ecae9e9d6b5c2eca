"""Opens a store on a server that may not be up yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import structlog

from guidkeep.errors import StartupError
from guidkeep.stores.remote.failures import Failure
from guidkeep.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.stores.remote.failures import Codes
    from guidkeep.urls import Address

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

START_TIMES = 3
"""The start waits for an unreachable server this many times the store's timeout."""
BACKOFF = Backoff(first=0.1, longest=1.0)
MOST_CONNECTIONS = 1000


def take_connections(address: Address, default: int, *, former: str = "") -> int:
    """Returns the parameter `connections`, the number that a store opens at most.

    Args:
        address: the parts of the URL.
        default: the value without the parameter.
        former: the parameter's former name, which still works.

    Raises:
        StartupError: the value is no number, or out of range.
    """
    name = former if former in address.parameters else "connections"
    return address.take(name, connections_of, str(default))


def connections_of(text: str) -> int:
    """Returns the text as a number of connections; raises ValueError if it is none."""
    size = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= size <= MOST_CONNECTIONS:
        raise ValueError(f"It is a number from 1 to {MOST_CONNECTIONS}.")
    return size


async def started(
    attempt: Callable[[float], Awaitable[Result]],
    *,
    codes: Codes,
    place: str,
    timeout: float,
    advice: Callable[[Failure], str],
) -> Result:
    """Makes the attempt, and repeats it while the server is unreachable or late.

    Args:
        attempt: connects, and makes or checks the tables; its argument is its deadline, the event
            loop's time in seconds.
        codes: the meaning of the engine's error codes.
        place: the store's URL without its password.
        timeout: seconds for each attempt.
        advice: returns the remedy for a failure, or "".

    Raises:
        StartupError: the server was unreachable for `START_TIMES * timeout` seconds, or refuses.
    """
    loop = asyncio.get_running_loop()
    # Each attempt has its full time: the error of a shortened one would hide the cause.
    last = loop.time() + (START_TIMES - 1) * timeout
    retry = 0
    while True:
        try:
            return await attempt(loop.time() + timeout)
        except Failure as failure:
            may_pass = failure.again or failure.code in codes.temporary or failure.is_timeout
            pause = BACKOFF.seconds(retry)
            if not may_pass or loop.time() + pause >= last:
                tried = f", tried for {START_TIMES * timeout:g} s" if may_pass else ""
                said = f"Can't use the store {place}{tried}: {failure.detail}. {advice(failure)}"
                raise StartupError(said.rstrip()) from failure
            log.warning("waiting for the store", url=place, error=str(failure))
        await asyncio.sleep(pause)
        retry += 1
