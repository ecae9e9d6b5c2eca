"""Guidkeep with one thought left out of its protocol each: what the checker must find.

Faults of the registry are planted by a subclass, those of the cache in memory too (they are
`tests.registry.faults`'s); those of the cache in Redis by changing a line of its scripts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from guidkeep.caches import redis_scripts
from guidkeep.caches.memory import MemoryCache
from guidkeep.caches.redis import RedisCache
from guidkeep.flights import Flights
from guidkeep.registry import Registry
from tests.registry import faults as planted

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping, Sequence


class _Joined(Flights[Any]):
    """Who comes joins the flight that is on its way."""

    async def join(self, key: str, load: Callable[[], Awaitable[Any]]) -> Any:
        flights: dict[str, asyncio.Future[Any]] = self.__dict__.setdefault("joined", {})
        if key not in flights:
            flights[key] = flight = self.__dict__["start"](load())
            flight.add_done_callback(lambda _: flights.pop(key))
        return await flights[key]


class JoinsFlightUnderWay(Registry):
    """Single flight as one first writes it; see `guidkeep.flights` on why not."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._flights = _Joined(self._spawn)
        self._flights.__dict__["start"] = self._spawn


class Forgetful(RedisCache):
    """A node does not remember what it could not settle."""

    def _remember(self, guid: str) -> None:
        pass


@dataclass(frozen=True)
class Fault:
    """A fault, and what shows it.

    Attributes:
        registry: with the fault in it.
        cache: the cache in memory, with the fault in it.
        scripts: of the cache in Redis: by name, what to replace by what. What is told of
            `settle` holds for `release`, which is the same without an entry.
        redis: the cache in Redis, with the fault in it.
        flushes: the cache must forget everything in between, for it to show.
        nemesis: what must strike, for it to show.
    """

    registry: type[Registry] = Registry
    cache: type[MemoryCache] = MemoryCache
    scripts: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    redis: type[RedisCache] = RedisCache
    flushes: int = 0
    nemesis: str = "nothing"

    def bodies(self) -> dict[str, tuple[str, str]]:
        """The scripts with the fault in them, to be put into `redis_scripts._BODIES`."""
        scripts = dict(self.scripts)
        if "settle" in scripts:
            scripts["release"] = scripts["settle"]
        return {name: _replaced(name, pairs) for name, pairs in scripts.items()}


def _replaced(name: str, replacements: Sequence[tuple[str, str]]) -> tuple[str, str]:
    flag, text = redis_scripts._BODIES[name]
    for before, after in replacements:
        assert text.count(before) == 1, f"the script {name} has {before!r} not once"
        text = text.replace(before, after)
    return flag, text


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
        ("if ms < standing then return 0 end", ""),
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
    "joins a flight under way": Fault(JoinsFlightUnderWay),
}
"""What `lease_model.py` plants, and more: shown by races alone."""
OUTAGES = {
    "forgets what is unsettled": Fault(redis=Forgetful, nemesis="node cut off from the cache"),
}
"""Shown by real nodes alone, while something fails."""
