"""Three nodes, one Redis, one store: the responses to clients while something fails.

GUIDKEEP_TEST_NEMESIS_SECONDS is how long each nemesis works on each SQL store (4). It finishes the
cycle that it is in, so each strikes and heals once at least, the quick ones several times, and
clients go on until the strict promise holds again. The longest cycle takes 7.7 seconds. `test_soak`
does the same for any time.
"""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.consistency import campaign
from tests.consistency.faults import FAULTS, OUTAGES
from tests.consistency.nemeses import NEMESES
from tests.consistency.workload import Load
from tests.engines import SINGLE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.consistency.conftest import Fleet

pytestmark = pytest.mark.thorough

SECONDS = float(os.environ.get("GUIDKEEP_TEST_NEMESIS_SECONDS", "4"))
SHARES = {"mongodb": 1 / 6}
"""The part of that time for each store. FerretDB is slow, so its writes stay in doubt for long."""
RUNS = [(store, nemesis) for store in SINGLE for nemesis in NEMESES if nemesis != "nothing"]
SEED = 1
HOT = Load(seed=SEED, clients=15, guids=2, owned=0, reads=0.8)
"""The load that finds faults: many clients on few records."""
ENOUGH = 30_000
"""Operations within which a fault must be found; nearly all are found in the first two thousand.
Operations, not seconds: a slow machine needs the same number."""
LEAST = 300
"""Operations that a run must check to tell anything."""
RARE = ("release all", "lost keeps")
"""Faults of scripts that take tens of thousands of operations here; `test_local` finds them too."""
PLANTED = [
    "settle before commit",
    *(name for name, fault in FAULTS.items() if fault.scripts and name not in RARE),
]
"""One fault of the nodes and those of the scripts in Redis; `test_local` finds all others."""


@pytest.mark.timeout(300 + 5 * SECONDS)
@pytest.mark.parametrize(("store", "nemesis"), RUNS, ids=[": ".join(run) for run in RUNS])
def test_what_is_promised_holds(fleet: Fleet, store: str, nemesis: str) -> None:
    share = SHARES.get(store, 1.0)
    seed, checked = 1000 * RUNS.index((store, nemesis)), 0
    with fleet.cluster(store, nemesis) as nodes:
        for again in range(10):  # a busy machine takes longer to do enough
            checked += campaign.run(nodes, store, nemesis, seed + 100 * again, SECONDS * share)
            if checked > LEAST * share:
                return
    pytest.fail(f"Only {checked} operations were checked: too little was done to tell.")


@pytest.mark.parametrize("name", PLANTED)
def test_every_fault_is_caught(fleet: Fleet, tmp_path: Path, name: str) -> None:
    """Nodes with a fault planted, or their scripts in Redis."""
    caught(fleet, tmp_path, name, "nothing", HOT, jitter=0.02)


@pytest.mark.parametrize("name", OUTAGES)
def test_every_fault_that_an_outage_shows_is_caught(
    fleet: Fleet, tmp_path: Path, name: str
) -> None:
    caught(fleet, tmp_path, name, OUTAGES[name].nemesis, Load(seed=SEED), jitter=0.01)


def caught(
    fleet: Fleet, folder: Path, fault: str, nemesis: str, load: Load, *, jitter: float
) -> None:
    """Fails unless the fault is found. It runs on one store, because all show the same."""
    operations = 0
    with campaign.cluster(
        fleet.get("mysql"), folder, nemesis, load, fault=fault, jitter=jitter
    ) as nodes:
        for seed in count(load.seed):
            outcome = campaign.work(nodes, nemesis, replace(load, seed=seed), seconds=1)
            operations += len(outcome.history)
            if outcome.verdict.failures:
                print(f"{fault}: caught after {operations} operations")  # noqa: T201 - a measure
                return
            if operations > ENOUGH:
                pytest.fail(f"{fault}: not caught in {operations} operations")
