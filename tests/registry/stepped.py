"""A cache and a store whose calls stop at gates, and which report every event to the judge."""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from guidkeep.batching.outcome import Outcome
from guidkeep.caches import Lease
from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from tests.registry.history import Broken
from tests.registry.steploop import acting
from tests.support import MARCH_2015

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from guidkeep.caches.memory import MemoryCache
    from guidkeep.record import Record
    from guidkeep.stores import Store
    from tests.registry.history import Doing, History
    from tests.registry.steploop import Gates

Result = TypeVar("Result")


class SteppedCache:
    """The real cache behind gates."""

    def __init__(self, cache: MemoryCache, gates: Gates, history: History) -> None:
        self.counts = cache.counts
        self.takes_unread = cache.takes_unread
        self.renew_after = cache.renew_after
        self.hit = cache.hit
        self.peek = cache.peek
        self.doubt = cache.doubt
        self.ping = cache.ping
        self.close = cache.close
        self._cache = cache
        self._gates = gates
        self._history = history
        self._holders: dict[int | None, int] = {}

    async def get(self, guid: str, now: float) -> Record | Lease | None:
        return await self._call("get", lambda: self._cache.get(guid, now))

    async def fill(self, lease: Lease, record: Record | None, now: float) -> None:
        await self._call("fill", lambda: self._cache.fill(lease, record, now))

    async def lease(self, guid: str) -> Lease:
        return await self._call("lease", lambda: self._cache.lease(guid))

    async def settle(self, lease: Lease, record: Record | None, now: float) -> None:
        await self._call("settle", lambda: self._cache.settle(lease, record, now))

    def state(self, guid: str) -> object:
        """The content of the cache, with the holders' numbers in place of their tokens."""
        entry, standing = self._cache._entries.get(guid), self._cache._standing.get(guid)
        return (
            (int(entry[0] - MARCH_2015), entry[1].rpartition(b"{")[2]) if entry else None,
            standing
            and (
                self._holders.get(standing.reader),
                frozenset(self._holders[token] for token in standing.writers),
                self._holders.get(standing.last_writer),
            ),
        )

    async def _call(self, name: str, call: Callable[[], Awaitable[Result]]) -> Result:
        await self._gates.stop(f"before cache.{name}")
        result = await call()
        if isinstance(result, Lease):
            self._holders[result.token] = acting.get()
        self._gates.learnt[acting.get()].append((name, self._history.show(result)))
        if self._gates.after:
            await self._gates.stop(f"after cache.{name}")
        return result


class Late(NamedTuple):
    """A write that the store gave up and that may still happen."""

    write: Callable[[], object]
    settled: asyncio.Future[object] | None


class SteppedStore:
    """A store behind gates, at which its calls can be made to fail or to be late.

    As the `Store` protocol demands, a call can't be cancelled: it is made even if the task is
    cancelled, and the task gets the cancellation when the call returns.
    """

    def __init__(
        self, store: Store, gates: Gates, history: History, doings: Sequence[Doing]
    ) -> None:
        self.late: list[Late] = []
        self.ping = store.ping
        self.close = store.close
        self.page = store.page
        self.count = store.count
        self.clock = store.clock
        self.skip = store.skip
        self._store = store
        self._gates = gates
        self._history = history
        self._doings = doings

    async def get(self, guid: str) -> Record | None:
        return await self._call("get", lambda: self._store.get(guid))

    async def insert(self, record: Record) -> bool:
        return await self._write("insert", lambda: self._store.insert(record), record)

    async def replace(self, record: Record, version: int) -> bool:
        return await self._write("replace", lambda: self._store.replace(record, version), record)

    async def delete(self, guid: str, version: int) -> bool:
        return await self._write("delete", lambda: self._store.delete(guid, version), None)

    async def purge(self, now: int, limit: int) -> int:
        return await self._write("purge", lambda: self._store.purge(now, limit), None)

    def _write(
        self, name: str, write: Callable[[], Coroutine[Any, Any, Result]], record: Record | None
    ) -> Outcome[Result]:
        doing = self._doings[acting.get()]

        async def written() -> Result:
            done = await write()
            if done:
                self._history.commit(doing, record)
            return done

        return self._call(name, written)

    def _call(self, name: str, call: Callable[[], Coroutine[Any, Any, Result]]) -> Outcome[Result]:
        gates, me = self._gates, acting.get()
        context = copy_context()
        outcome: Outcome[Result] = Outcome(loop=gates.loop)

        def go(said: str) -> None:
            if said == "fails":
                outcome.set_exception(StoreUnavailable("as the test wants it"))
            elif said in ("is late", "is lost"):  # lost: the store will not report the outcome
                settled = gates.loop.create_future() if said == "is late" else None
                self.late.append(Late(lambda: gates.loop.run(call(), context), settled))
                outcome.set_exception(OutcomeUnknown("as the test wants it", settled))
            else:
                happen()
                return
            gates.learnt[me].append((name, said))

        def happen() -> None:
            try:
                result = gates.loop.run(call(), context)
            except Broken as broken:
                outcome.set_exception(broken)  # so that the task does not wait for ever
                raise
            arrive(result)

        def arrive(result: Result) -> None:
            gates.learnt[me].append((name, self._history.show(result)))
            if gates.after and not gates.open:
                at = f"after store.{name}"
                context.run(gates.park, at, lambda _: outcome.set_result(result))
            else:
                outcome.set_result(result)

        gates.park(f"before store.{name}", go)
        return outcome
