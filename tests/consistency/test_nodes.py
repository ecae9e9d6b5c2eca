"""Three nodes, one Redis, one store: what clients see while something fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.consistency import campaign
from tests.consistency.faults import FAULTS
from tests.consistency.judge import require
from tests.consistency.workload import Load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.consistency.conftest import Fleet

STORES = ("mysql", "postgresql", "mongodb")
SHORT = (
    "nothing",
    "skewed clocks",
    "node killed",
    "node stopped",
    "node held off from the store",
    "store killed",
    "store stopped",
    "cache flushed",
    "cache restarted from its file",
    "cache stopped",
    "node cut off from the cache",
    "node held off from the cache",
)
"""The nemeses that every run of the tests has; `make soak` has all."""
SEED = 1
TRIES = 4
"""Runs in which a fault must be found; most are found in the first."""


@pytest.mark.parametrize("nemesis", SHORT)
@pytest.mark.parametrize("store", STORES)
def test_what_is_promised_holds(fleet: Fleet, tmp_path: Path, store: str, nemesis: str) -> None:
    servers = fleet.get(store)
    outcome = campaign.run(servers.store, servers.cache, tmp_path, nemesis, SEED)
    name = f"{store}-{nemesis}-{SEED}".replace(" ", "-")
    require(outcome.verdict, outcome.history, name, campaign.command(store, nemesis, SEED))
    assert outcome.verdict.checked > 300, "too little was done to tell"
    print(outcome.verdict)  # noqa: T201 - a measure


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_caught(fleet: Fleet, tmp_path: Path, name: str) -> None:
    """Nodes with a fault planted, or their scripts in Redis; on one store, for it is the same."""
    servers = fleet.get(STORES[0])
    nemesis = "cache flushed" if FAULTS[name].flushes else "nothing"
    operations = 0
    for seed in range(1, TRIES + 1):
        outcome = campaign.run(
            servers.store,
            servers.cache,
            tmp_path / str(seed),
            nemesis,
            seed,
            fault=name,
            jitter=0.02,
            load=Load(seed=seed, clients=16, guids=2, reads=0.8),
        )
        operations += len(outcome.history)
        if outcome.verdict.failures:
            print(f"{name}: caught after {operations} operations")  # noqa: T201 - a measure
            return
    pytest.fail(f"{name}: not caught in {operations} operations")
