"""One run: clients that work on a cluster, a nemesis, and the verdict."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.consistency.cluster import Cluster
from tests.consistency.http import Connections
from tests.consistency.judge import judge, require
from tests.consistency.nemeses import NEMESES, Attack
from tests.consistency.workload import Load, Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.consistency.cluster import Servers
    from tests.consistency.judge import Verdict
    from tests.consistency.operations import Operation

PATIENCE = 4.0
"""Seconds that a client waits for an answer: longer than a node waits for its store."""
STRETCH = 10.0
"""Seconds that clients work on the same records at most."""
LIVELY = 0.01
"""Seconds that calls of store and cache are delayed at most, so that races are open."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    history: list[Operation]
    verdict: Verdict


def run(servers: Servers, folder: Path, store: str, nemesis: str, seed: int, seconds: float) -> int:
    """Runs clients against three nodes of their own while the nemesis strikes.

    In stretches, each with the next seed and so on records of its own: writes whose outcome stays
    open add up, and the search has to think of all of them.

    Args:
        servers: what the nodes share.
        folder: where the nodes' logs go.
        store: the name of their store, to tell how it is run again.
        nemesis: its name.
        seed: what the clients do in the first stretch follows from it.
        seconds: how long it strikes; one round is done in any case.

    Returns:
        How many operations were checked. Fails, as `require` does, if one breaks a promise.
    """
    load = Load(seed=seed, skews=NEMESES[nemesis].skews)
    stretch, checked, end = min(seconds, STRETCH), 0, time.monotonic() + seconds
    with cluster(servers, folder, nemesis, load) as nodes:
        while load.seed == seed or time.monotonic() < end:
            outcome = work(nodes, nemesis, load, seconds=stretch)
            name, again = (
                f"{store} {nemesis} {load.seed}",
                replay(store, nemesis, load.seed, stretch),
            )
            require(outcome.verdict, outcome.history, name, again)
            checked += outcome.verdict.checked
            load = replace(load, seed=load.seed + 1)
    return checked


def cluster(
    servers: Servers,
    folder: Path,
    nemesis: str,
    load: Load,
    *,
    fault: str = "",
    jitter: float = LIVELY,
) -> Cluster:
    """Three nodes with the settings that the nemesis calls for; see `Cluster`."""
    what = NEMESES[nemesis]
    return Cluster(
        servers,
        folder,
        load,
        max_age=what.max_age,
        patience=what.patience,
        jitter=jitter,
        fault=fault,
    )


def work(nodes: Cluster, nemesis: str, load: Load, *, seconds: float) -> Outcome:
    """Lets clients work on a cluster that runs, while the nemesis strikes; see `run`."""
    history, attack = asyncio.run(_work(nodes, nemesis, load, seconds))
    verdict = judge(history, attack.promises)
    verdict.failures += [
        f"Something went wrong inside a node: {one}" for one in history if one.status == 500
    ]
    verdict.failures += [
        f"Node {number} ended: {node.process.last_words()}"
        for number, node in enumerate(nodes.nodes)
        if node.process.exit_code is not None
    ]
    return Outcome(history, verdict)


async def _work(
    nodes: Cluster, nemesis: str, load: Load, seconds: float
) -> tuple[list[Operation], Attack]:
    began = time.monotonic()

    def elapsed() -> float:
        return time.monotonic() - began

    attack = Attack(NEMESES[nemesis], nodes, elapsed)
    transports: list[Connections] = []

    def transport_of(_: int) -> Connections:
        transports.append(Connections(nodes.addresses, patience=PATIENCE))
        return transports[-1]

    recorder = Recorder(load, elapsed, time.time, is_over=lambda: attack.is_over)
    attacking = asyncio.create_task(attack.run(seconds))
    history = await recorder.run(transport_of)
    await attacking
    await recorder.read_all(transport_of(0))
    for transport in transports:
        transport.close()
    return history, attack


def replay(store: str, nemesis: str, seed: int, seconds: float) -> str:
    """The command that runs the same again, as far as machines allow."""
    return (
        f"GUIDKEEP_SOAK_SECONDS=0 GUIDKEEP_SOAK_SEED={seed} GUIDKEEP_SOAK_STORE={store} "
        f'GUIDKEEP_SOAK_NEMESIS="{nemesis}" GUIDKEEP_TEST_NEMESIS_SECONDS={seconds:g} '
        ".venv/bin/pytest -m soak -s tests/consistency"
    )
