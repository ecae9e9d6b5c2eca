"""Guidkeep with one rule of its protocol left out each: the faults that the checker must find.

Faults of the registry and of the cache in memory are planted by subclasses (the latter are in
`tests.registry.faults`), those of the cache in Redis by changing a line of its scripts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from guidkeep.caches.memory import MemoryCache
from guidkeep.caches.redis import scripts as redis_scripts
from guidkeep.caches.redis.cache import RedisCache
from guidkeep.errors import OutcomeUnknown
from guidkeep.record import new_version
from guidkeep.registry import access
from guidkeep.registry.registry import Registry
from guidkeep.registry.single_flight import SingleFlight
from tests.registry import faults as planted

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from guidkeep.record import Record


class _Joined(SingleFlight[Any]):
    """A caller joins the load that is already running."""

    async def join(self, key: str, load: Callable[[], Awaitable[Any]]) -> Any:
        loads: dict[str, asyncio.Future[Any]] = self.__dict__.setdefault("joined", {})
        if key not in loads:
            loads[key] = running = self.__dict__["start"](load())
            running.add_done_callback(lambda _: loads.pop(key))
        return await loads[key]


class JoinsLoadUnderWay(Registry):
    """Naive single flight; see `guidkeep.registry.single_flight` for what is wrong with it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._loads = _Joined(self._spawn)
        self._loads.__dict__["start"] = self._spawn


class Forgetful(RedisCache):
    """A node does not remember the leases that it could not settle."""

    def _remember(self, guid: str) -> None:
        pass


class InsertsOverExpired(Registry):
    """An insert replaces an expired record that it has never read."""

    def _compare_and_set(
        self, guid: str, stored: Record | None, target: Record | None
    ) -> Awaitable[bool]:
        if stored is None and target is not None:
            return self._insert_over(target, self.clock())
        return super()._compare_and_set(guid, stored, target)

    async def _insert_over(self, target: Record, now: float) -> bool:
        if await self._store.insert(target):
            return True
        found = await self._store.get(target.guid)
        if found is None or found.is_live(now):
            return False
        return await self._store.replace(target, found.version)


class RaisesNoFence(Registry):
    """A write whose response was lost gives its lease back at once."""

    def _certainty(
        self, error: BaseException, stored: Record | None, now: float
    ) -> asyncio.Future[Any] | None:
        return error.settled if isinstance(error, OutcomeUnknown) else None


def _microseconds(now: float, former: Record | None) -> int:
    """The time as a version, in place of `new_version`: two nodes may make the same one."""
    return max(int(now * 1_000_000), former.version + 1 if former else 0)


@dataclass(frozen=True)
class Fault:
    """A fault, and the conditions that show it.

    Attributes:
        registry: the registry with the fault.
        cache: the cache in memory with the fault.
        scripts: for the cache in Redis, by the name of a script: the text to replace, and its
            replacement. Changes to `settle` apply to `release` too, which is the same without an
            entry.
        redis: the cache in Redis with the fault.
        versions: makes versions in place of `new_version`.
        flushes: whether the cache must be flushed to show the fault.
        lost: the part of the writes whose response must be lost to show the fault.
        load: the changes to the load that show the fault.
        nemesis: the nemesis that shows the fault.
    """

    registry: type[Registry] = Registry
    cache: type[MemoryCache] = MemoryCache
    scripts: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    redis: type[RedisCache] = RedisCache
    versions: Callable[[float, Record | None], int] = new_version
    flushes: int = 0
    lost: float = 0.0
    load: Mapping[str, Any] = field(default_factory=dict)
    nemesis: str = "nothing"

    def plant(self, put: Callable[[dict[str, Any], str, Any], None]) -> None:
        """Plants the faults that are not classes in the shipped modules.

        Args:
            put: sets an item of a dictionary, such as a module's variables.
        """
        scripts = dict(self.scripts)
        if "settle" in scripts:
            scripts["release"] = scripts["settle"]
        for name, pairs in scripts.items():
            put(redis_scripts._BODIES, name, _replaced(name, pairs))
        put(vars(access), "new_version", self.versions)


def _replaced(name: str, replacements: Sequence[tuple[str, str]]) -> tuple[str, str]:
    flag, text = redis_scripts._BODIES[name]
    for before, after in replacements:
        assert text.count(before) == 1, f"the script {name} has {before!r} not once"
        text = text.replace(before, after)
    return flag, text


SKEWED = (0.0, 1.5, -2.0)
"""Seconds by which the nodes' clocks are ahead, if they differ."""
BRIEF = {"skews": SKEWED, "short": 0.9, "lifetimes": (2, 3), "reads": 0.7}
"""A load with records that are expired for one node when another creates them."""
DENSE = {"clients": 18, "guids": 2, "reads": 0.5, "pause": 0.0, "seconds": 1.0}
"""A load with many writes to few records."""
LOST = 0.1
"""The part of the responses that is lost, if any are."""
WIDE: Mapping[str, Any] = {"clients": 32, "guids": 8}
"""A load on enough records to be judged with lost responses: each write without a response doubles
the number of possibilities."""
_NO_LEASE = {
    "lease": [("last = ARGV[1]\nsave()", "")],
    "settle": [
        (
            "if writers and writers[ARGV[1]] then",
            "till, due, answer, writers, last = nil, nil, nil, {}, ARGV[1]\ndo",
        ),
    ],
}
_NOT_CHECKED = {"fill": [("if reader ~= ARGV[1] then return 0 end", "")]}
_WRITERS_IGNORED = {
    "get": [
        ("if ms < number(standing) then return 0 end", ""),
        ("ARGV[2], ms + LEASE_TIME)", "ARGV[2], ms + LEASE_TIME, last or false, writers or false)"),
    ],
}
_ALL_RELEASED = {"settle": [("writers[ARGV[1]] = nil", "writers = {}")]}
_OVERTAKEN_PUTS = {"settle": [("if ARGV[2] and last == ARGV[1] then", "if ARGV[2] then")]}
_LOST_KEEPS = {
    "settle": [
        ("till, due, answer, reader, reader_due = nil, nil, nil, nil, nil\nsave()\nreturn 0", ""),
    ],
}

FAULTS = {
    "no lease": Fault(cache=planted.NoLease, scripts=_NO_LEASE),
    "unchecked fill": Fault(cache=planted.UncheckedFill, scripts=_NOT_CHECKED),
    "lease once": Fault(planted.LeaseOnce),
    "lease first": Fault(planted.LeaseFirst),
    "reader ignores writers": Fault(cache=planted.ReaderIgnoresWriters, scripts=_WRITERS_IGNORED),
    "release all": Fault(cache=planted.ReleaseAll, scripts=_ALL_RELEASED),
    "fill though overtaken": Fault(cache=planted.FillThoughOvertaken, scripts=_OVERTAKEN_PUTS),
    "lost keeps": Fault(cache=planted.LostKeeps, scripts=_LOST_KEEPS, flushes=40),
    "settle before commit": Fault(planted.SettleBeforeCommit),
    "joins a load under way": Fault(JoinsLoadUnderWay),
    "versions that are the time": Fault(versions=_microseconds, load=DENSE),
    "inserts over what has expired": Fault(InsertsOverExpired, load=BRIEF),
    "raises no fence": Fault(RaisesNoFence, lost=LOST, load=WIDE),
}
"""The faults of `tests.model.protocol`, and more."""
OUTAGES = {
    "forgets what is unsettled": Fault(redis=Forgetful, nemesis="node cut off from the cache"),
}
"""Faults that only real nodes show, while something fails."""
