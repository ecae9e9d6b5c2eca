"""Single flight: concurrent requests for the same key share one load.

A caller joins only a load that begins after its call. A load that is already running may have read
the store before a write that the caller must see, and this process can't know: the write may have
come from another node. So callers that arrive during a load share the next one. That one begins
when the first has ended, and finds in the cache the entry that the first put there. A thousand
concurrent callers cause two loads and one read of the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable  # noqa: TC003 - a NamedTuple reads them
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")


class _Next(NamedTuple, Generic[Result]):
    """The load after the one that is running: the future of its callers, and its function."""

    waiting: asyncio.Future[Result]
    load: Callable[[], Awaitable[Result]]


class SingleFlight(Generic[Result]):
    """The running loads by key, and for each the load that follows.

    Args:
        spawn: starts a task and keeps a reference to it.
    """

    def __init__(self, spawn: Callable[[Coroutine[object, object, None]], object]) -> None:
        self._spawn = spawn
        self._under_way: dict[str, _Next[Result] | None] = {}

    def __len__(self) -> int:
        """The number of running loads."""
        return len(self._under_way)

    async def join(self, key: str, load: Callable[[], Awaitable[Result]]) -> Result:
        """Returns the result of `load`, or of another caller's `load` that begins after this call.

        Raises:
            Exception: the error of that `load`.
        """
        if key not in self._under_way:
            self._under_way[key] = None
            try:
                return await load()
            finally:
                self._ended(key)
        following = self._under_way[key]
        if following is None:
            following = _Next(asyncio.get_running_loop().create_future(), load)
            self._under_way[key] = following
        return await asyncio.shield(following.waiting)

    def _ended(self, key: str) -> None:
        following = self._under_way.pop(key)
        if following is not None:
            self._under_way[key] = None
            self._spawn(self._run(key, following))

    async def _run(self, key: str, following: _Next[Result]) -> None:
        waiting = following.waiting
        try:
            waiting.set_result(await following.load())
        except Exception as error:  # noqa: BLE001 - the callers raise it, of any kind
            waiting.set_exception(error)
            waiting.exception()  # marks it as retrieved: the callers may all be cancelled
        finally:
            waiting.cancel()  # has an effect only if this load was cancelled
            self._ended(key)
