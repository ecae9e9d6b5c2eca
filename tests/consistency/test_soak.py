"""The tests of `test_nodes` for any time, with random nemeses, stores and seeds: `make soak`.

GUIDKEEP_SOAK_SECONDS is the time (600), GUIDKEEP_SOAK_SEED the first seed (random), and
GUIDKEEP_TEST_NEMESIS_SECONDS the time for each nemesis (here 30). GUIDKEEP_SOAK_STORE and
GUIDKEEP_SOAK_NEMESIS restrict the choice to one. Each run prints the command that repeats it.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.consistency import campaign
from tests.consistency.judge import CHECKED, bound
from tests.consistency.nemeses import NEMESES
from tests.consistency.workload import Load
from tests.engines import SINGLE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.consistency.conftest import Fleet

SECONDS = float(os.environ.get("GUIDKEEP_SOAK_SECONDS", "600"))
NEMESIS_SECONDS = float(os.environ.get("GUIDKEEP_TEST_NEMESIS_SECONDS", "30"))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_what_is_promised_holds_for_long(fleet: Fleet, tmp_path: Path) -> None:
    first = int(os.environ.get("GUIDKEEP_SOAK_SEED", random.SystemRandom().randrange(10**6)))
    stores = _named("GUIDKEEP_SOAK_STORE", SINGLE)
    nemeses = _named("GUIDKEEP_SOAK_NEMESIS", tuple(NEMESES))
    seed, end = first, time.monotonic() + SECONDS
    while seed == first or time.monotonic() < end:
        chance = random.Random(f"soak {seed}")  # noqa: S311 - load, no secret
        store, nemesis = chance.choice(stores), chance.choice(nemeses)
        again = campaign.replay(store, nemesis, seed, NEMESIS_SECONDS)
        print(f"{CHECKED.total():9} operations, now: {again}", flush=True)  # noqa: T201 - progress
        folder = tmp_path / str(seed)
        load = Load(seed=seed, skews=NEMESES[nemesis].skews)
        with campaign.cluster(fleet.get(store), folder, nemesis, load) as nodes:
            campaign.run(nodes, store, nemesis, seed, NEMESIS_SECONDS)
        seed += 1
    print(bound(CHECKED.total()))  # noqa: T201 - the result


def _named(variable: str, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    return (os.environ[variable],) if variable in os.environ else otherwise
