"""The faults that strike while clients work: how they begin and end, and the promises meanwhile."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from servers.proxy import Proxy
from tests.consistency.promises import Acknowledged, Bounded
from tests.support import all_trust_the_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.consistency.cluster import Cluster
    from tests.consistency.operations import Operation
    from tests.consistency.promises import Promise

    Act = Callable[[Cluster], None]

REST = 0.7
"""Seconds before a strike."""
AFTER = 1.0
"""Seconds that clients work after a strike, when the strict promise holds again."""
MAX_AGE = 1.0
"""Seconds that a cache entry lives, if that bounds the age of responses."""
MARGIN = 1.0
"""Seconds by which a response may be older than that. A read may share the next load, and with it
the time of that load's first caller, which is earlier by the duration of a load that waits for
Redis in vain."""
BACK = 60.0
"""Seconds within which all nodes must use the cache again once it can be reached."""
SINCE = 0.3
"""Seconds by which a restarted Redis is behind, because it saved its file that long before."""


@dataclass(frozen=True)
class Nemesis:
    """A fault that strikes; see the module's text.

    Attributes:
        strike: begins the fault.
        heal: ends the fault; None: there is nothing to end.
        lasts: seconds between strike and heal.
        rest: seconds before a strike.
        repeats: the number of strikes before a longer pause.
        promise: the promise meanwhile; "strict" is linearizability.
        strict_nodes: the nodes for which the strict promise holds even so.
        skews: the skews of the nodes' clocks.
        patience: seconds that a write waits for Redis: long, if it counts as reachable.
    """

    strike: Act | None = None
    heal: Act | None = None
    lasts: float = 1.0
    rest: float = REST
    repeats: int = 1
    promise: Literal["strict", "acknowledged", "bounded"] = "strict"
    strict_nodes: frozenset[int] = frozenset()
    skews: Sequence[float] = (0.0, 0.0, 0.0)
    patience: float = 5.0

    @property
    def max_age(self) -> float:
        """Seconds that a cache entry lives."""
        return MAX_AGE if self.promise == "bounded" else 60.0

    @property
    def settings(self) -> object:
        """The settings of the nodes; equal if two nemeses can strike the same nodes."""
        return self.max_age, self.patience, self.skews


class Attack:
    """A nemesis at work.

    Args:
        nemesis: the nemesis.
        cluster: the cluster that it strikes.
        elapsed: returns the seconds since the run began.
    """

    def __init__(self, nemesis: Nemesis, cluster: Cluster, elapsed: Callable[[], float]) -> None:
        self.is_over = False
        self._nemesis = nemesis
        self._cluster = cluster
        self._elapsed = elapsed
        self._strikes: list[tuple[float, float]] = []
        self._ends: list[float] = []

    async def run(self, seconds: float) -> None:
        """Strikes again and again until that number of seconds is over, at least once."""
        end = self._elapsed() + seconds
        try:
            while not self._ends or self._elapsed() < end:
                await self._round()
        finally:
            self.is_over = True

    async def _round(self) -> None:
        for _ in range(self._nemesis.repeats):
            await asyncio.sleep(self._nemesis.rest)
            await self._strike_and_heal()
            self._ends.append(self._elapsed())
        if self._nemesis.promise == "bounded":
            await asyncio.sleep(MAX_AGE + MARGIN)
        await asyncio.sleep(AFTER)

    async def _strike_and_heal(self) -> None:
        nemesis = self._nemesis
        if nemesis.strike is None:
            return
        before = self._elapsed()
        await asyncio.to_thread(nemesis.strike, self._cluster)
        self._strikes.append((before, self._elapsed()))
        if nemesis.heal is not None:
            try:
                await asyncio.sleep(nemesis.lasts)
            finally:
                await asyncio.to_thread(nemesis.heal, self._cluster)
        if nemesis.promise == "bounded":
            await all_trust_the_cache(self._cluster.addresses, BACK)

    def promises(self, history: Sequence[Operation]) -> list[Promise]:
        """Returns the promises for one GUID's history beside the strict one."""
        if self._nemesis.promise == "acknowledged":
            return [Acknowledged(history, self._strikes)]
        if self._nemesis.promise == "strict":
            return []
        return [
            Bounded(MAX_AGE + MARGIN, began, ended, self._nemesis.strict_nodes)
            for (began, _), ended in zip(self._strikes, self._ends, strict=True)
        ]


def _kill_node(cluster: Cluster) -> None:
    cluster.nodes[0].process.kill()


def _signal_node(number: signal.Signals) -> Act:
    return lambda cluster: cluster.nodes[0].process.signal(number)


def _to_cache(act: Callable[[Proxy], None]) -> Act:
    """The proxies between the nodes and Redis."""

    def strike(cluster: Cluster) -> None:
        for proxy in cluster.to_cache:
            act(proxy)

    return strike


def _kill_redis_that_saved(cluster: Cluster) -> None:
    """Its file is slightly older, so it comes back with entries that were overwritten since."""
    cluster.cache.ask("SAVE")
    time.sleep(SINCE)
    cluster.cache.process.kill()


def _restart_redis_from_its_file(cluster: Cluster) -> None:
    """The file is for this once."""
    cluster.cache.start()
    _, folder = cluster.cache.ask("CONFIG", "GET", "dir")
    Path(folder.decode(), "dump.rdb").unlink()


NEMESES = {
    "nothing": Nemesis(),
    "skewed clocks": Nemesis(skews=(0.0, 2.0, -3.0)),
    "node killed": Nemesis(_kill_node, lambda cluster: cluster.nodes[0].start(), 0.2),
    "node stopped": Nemesis(_signal_node(signal.SIGSTOP), _signal_node(signal.SIGCONT), 3.5),
    "node cut off from the store": Nemesis(
        lambda cluster: cluster.to_store[0].cut(), lambda cluster: cluster.to_store[0].heal()
    ),
    "node held off from the store": Nemesis(
        lambda cluster: cluster.to_store[0].hold(), lambda cluster: cluster.to_store[0].heal(), 2.5
    ),
    "store slow": Nemesis(
        lambda cluster: cluster.to_store[0].delay(0.1), lambda cluster: cluster.to_store[0].heal()
    ),
    "store killed": Nemesis(
        lambda cluster: cluster.store.process.kill(), lambda cluster: cluster.store.start(), 0.2
    ),
    "store stopped": Nemesis(
        lambda cluster: cluster.store.process.signal_all(signal.SIGSTOP),
        lambda cluster: cluster.store.process.signal_all(signal.SIGCONT),
        2.5,
    ),
    "cache flushed": Nemesis(
        lambda cluster: cluster.cache.ask("FLUSHALL"),
        rest=0.1,
        repeats=15,
        promise="acknowledged",
    ),
    "cache slow": Nemesis(_to_cache(lambda proxy: proxy.delay(0.2)), _to_cache(Proxy.heal)),
    "cache stumbles": Nemesis(
        lambda cluster: cluster.cache.process.signal(signal.SIGSTOP),
        lambda cluster: cluster.cache.process.signal(signal.SIGCONT),
        0.4,
        rest=0.1,
        repeats=4,
    ),
    "cache killed": Nemesis(
        lambda cluster: cluster.cache.process.kill(),
        lambda cluster: cluster.cache.start(),
        promise="bounded",
    ),
    "cache restarted from its file": Nemesis(
        _kill_redis_that_saved,
        _restart_redis_from_its_file,
        0.1,
        promise="bounded",
    ),
    "node cut off from the cache": Nemesis(
        lambda cluster: cluster.to_cache[0].cut(),
        lambda cluster: cluster.to_cache[0].heal(),
        3.0,
        promise="bounded",
        strict_nodes=frozenset({0}),
    ),
    "cache stopped": Nemesis(
        lambda cluster: cluster.cache.process.signal(signal.SIGSTOP),
        lambda cluster: cluster.cache.process.signal(signal.SIGCONT),
        3.0,
        promise="bounded",
        patience=1.5,
    ),
    "node held off from the cache": Nemesis(
        lambda cluster: cluster.to_cache[0].hold(),
        lambda cluster: cluster.to_cache[0].heal(),
        4.0,
        promise="bounded",
        patience=1.5,
        strict_nodes=frozenset({0}),
    ),
}
"""By name."""
