"""Single flight: a crowd that wants the same thing asks for it once.

One who comes joins only a flight that begins after that. A flight which is on its way may have read
the store before a write that the newcomer must see, and nothing that one process knows tells
whether it has: the write may have been another node's. So those who come while a flight is on its
way share the next one, which begins when that has landed, and which finds in the cache what the
first has put there. A thousand who come at once make two flights and one question to the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable  # noqa: TC003 - a NamedTuple reads them
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")


class _Next(NamedTuple, Generic[Result]):
    """The flight after the one that is on its way: who waits for it, and what it does."""

    waiting: asyncio.Future[Result]
    load: Callable[[], Awaitable[Result]]


class Flights(Generic[Result]):
    """What is on its way, by key, and what comes after that.

    Args:
        spawn: starts a task and keeps it from being forgotten.
    """

    def __init__(self, spawn: Callable[[Coroutine[object, object, None]], object]) -> None:
        self._spawn = spawn
        self._under_way: dict[str, _Next[Result] | None] = {}

    def __len__(self) -> int:
        """How many are on their way."""
        return len(self._under_way)

    async def join(self, key: str, load: Callable[[], Awaitable[Result]]) -> Result:
        """What `load` returns: this one or that of another, but called after this call."""
        if key not in self._under_way:
            self._under_way[key] = None
            try:
                return await load()
            finally:
                self._land(key)
        following = self._under_way[key]
        if following is None:
            following = _Next(asyncio.get_running_loop().create_future(), load)
            self._under_way[key] = following
        return await asyncio.shield(following.waiting)

    def _land(self, key: str) -> None:
        following = self._under_way.pop(key)
        if following is not None:
            self._under_way[key] = None
            self._spawn(self._fly(key, following))

    async def _fly(self, key: str, flight: _Next[Result]) -> None:
        waiting = flight.waiting
        try:
            waiting.set_result(await flight.load())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is theirs who wait
            waiting.set_exception(error)
            waiting.exception()  # it counts as seen, though all who waited may be gone
        finally:
            waiting.cancel()  # where the flight itself was cancelled
            self._land(key)
