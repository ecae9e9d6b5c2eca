"""One run: a cluster, clients that work on it, a nemesis, and the verdict."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.consistency.cluster import Cluster
from tests.consistency.http import Connections
from tests.consistency.judge import judge
from tests.consistency.nemeses import NEMESES, Attack
from tests.consistency.operations import Operation
from tests.consistency.workload import Load, Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.consistency.cluster import RedisServer, StoreServer
    from tests.consistency.judge import Verdict

PATIENCE = 4.0
"""Seconds that a client waits for an answer: longer than a node waits for its store."""
LIVELY = 0.01
"""Seconds that calls of store and cache are delayed at most, so that races are open."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    history: list[Operation]
    verdict: Verdict


def run(
    store: StoreServer,
    cache: RedisServer,
    folder: Path,
    nemesis: str,
    seed: int,
    *,
    fault: str = "",
    times: int = 1,
    jitter: float = LIVELY,
    load: Load | None = None,
) -> Outcome:
    """Runs clients against three nodes while the nemesis strikes.

    Args:
        store: its server.
        cache: Redis.
        folder: where the nodes' logs go.
        nemesis: its name.
        seed: what the clients do follows from it.
        fault: what is wrong with the nodes.
        times: how often the nemesis strikes.
        jitter: see `Cluster`.
        load: what the clients do; its seed and skews are put in.
    """
    what = NEMESES[nemesis]
    load = load or Load(seed=seed, skews=what.skews)
    with Cluster(
        store,
        cache,
        folder,
        load,
        max_age=what.max_age,
        cache_timeout=what.cache_timeout,
        jitter=jitter,
        fault=fault,
    ) as cluster:
        history, attack = asyncio.run(_work(cluster, load, nemesis, times))
    verdict = judge(history, attack.promises)
    verdict.failures += [
        f"Something went wrong inside a node: {one}" for one in history if one.status == 500
    ]
    return Outcome(history, verdict)


async def _work(
    cluster: Cluster, load: Load, nemesis: str, times: int
) -> tuple[list[Operation], Attack]:
    began = time.monotonic()

    def elapsed() -> float:
        return time.monotonic() - began

    attack = Attack(NEMESES[nemesis], cluster, elapsed)
    transports: list[Connections] = []

    def transport_of(_: int) -> Connections:
        transports.append(Connections(cluster.addresses, patience=PATIENCE))
        return transports[-1]

    recorder = Recorder(load, elapsed, time.time, is_over=lambda: attack.is_over)
    attacking = asyncio.create_task(attack.run(times))
    history = await recorder.run(transport_of)
    await attacking
    await recorder.read_all(transport_of(0))
    for transport in transports:
        transport.close()
    return history, attack


def command(store: str, nemesis: str, seed: int) -> str:
    """What runs the same again, as far as machines allow."""
    return (
        f"GUIDKEEP_SOAK_SECONDS=0 GUIDKEEP_SOAK_SEED={seed} GUIDKEEP_SOAK_STORE={store} "
        f'GUIDKEEP_SOAK_NEMESIS="{nemesis}" .venv/bin/pytest -m soak -s '
        "tests/consistency/test_soak.py"
    )
