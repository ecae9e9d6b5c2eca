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
"""Seconds that a client waits for a response: longer than a node waits for its store."""
PAUSE = 0.15
"""Maximum seconds that a client waits between two operations; nearly always it waits far less. With
it a run does some two hundred operations a second, so that several go side by side on two cores."""
STRETCH = 10.0
"""Maximum seconds for which clients work on the same records."""
LIVELY = 0.01
"""Maximum delay of calls of store and cache in seconds, which provokes races."""


@dataclass(frozen=True)
class Outcome:
    """The result of a run."""

    history: list[Operation]
    verdict: Verdict


def run(nodes: Cluster, store: str, nemesis: str, seed: int, seconds: float) -> int:
    """Runs clients against three nodes while the nemesis strikes.

    It runs in stretches, each with the next seed and so with new records, because writes in doubt
    add up, and the search has to consider all of them.

    Args:
        nodes: the nodes, with the settings that the nemesis needs.
        store: the name of their store, for the command that repeats the run.
        nemesis: the name of the nemesis.
        seed: determines the clients' operations in the first stretch.
        seconds: the time for which the nemesis strikes; at least once.

    Returns:
        The number of checked operations. Fails like `require` if one breaks a promise.
    """
    load = Load(seed=seed, skews=NEMESES[nemesis].skews, pause=PAUSE)
    stretch, checked, end = min(seconds, STRETCH), 0, time.monotonic() + seconds
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
    """Three nodes with the settings that the nemesis needs; see `Cluster`."""
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
    """Runs clients on a running cluster while the nemesis strikes; see `run`."""
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
    """The command that repeats the run, as far as timing allows."""
    return (
        f"GUIDKEEP_SOAK_SECONDS=0 GUIDKEEP_SOAK_SEED={seed} GUIDKEEP_SOAK_STORE={store} "
        f'GUIDKEEP_SOAK_NEMESIS="{nemesis}" GUIDKEEP_TEST_NEMESIS_SECONDS={seconds:g} '
        ".venv/bin/pytest -m soak -s tests/consistency"
    )
