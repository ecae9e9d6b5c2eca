"""The same for as long as one likes: `make soak`.

GUIDKEEP_SOAK_SECONDS is how long (600), GUIDKEEP_SOAK_SEED where the seeds begin (random). To
replay one run, which is printed with each, name it: GUIDKEEP_SOAK_STORE, GUIDKEEP_SOAK_NEMESIS.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.consistency import campaign
from tests.consistency.judge import Verdict, require
from tests.consistency.nemeses import NEMESES
from tests.consistency.test_nodes import STORES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.consistency.conftest import Fleet

SECONDS = float(os.environ.get("GUIDKEEP_SOAK_SECONDS", "600"))
STRIKES = 3
"""How often a nemesis strikes in a run."""


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_what_is_promised_holds_for_long(fleet: Fleet, tmp_path: Path) -> None:
    first = int(os.environ.get("GUIDKEEP_SOAK_SEED", random.SystemRandom().randrange(10**6)))
    stores = _named("GUIDKEEP_SOAK_STORE", STORES)
    nemeses = _named("GUIDKEEP_SOAK_NEMESIS", tuple(NEMESES))
    total, seed, end = Verdict(), first, time.monotonic() + SECONDS
    while time.monotonic() < end or seed == first:
        chance = random.Random(f"soak {seed}")  # noqa: S311 - load, no secret
        store, nemesis = chance.choice(stores), chance.choice(nemeses)
        servers = fleet.get(store)
        command = campaign.command(store, nemesis, seed)
        folder = tmp_path / str(seed)
        outcome = campaign.run(servers.store, servers.cache, folder, nemesis, seed, times=STRIKES)
        total.checked += outcome.verdict.checked
        print(f"{outcome.verdict.checked:6} operations: {command}", flush=True)  # noqa: T201
        name = f"{store}-{nemesis}-{seed}".replace(" ", "-")
        require(outcome.verdict, outcome.history, name, command)
        seed += 1
    print(total)  # noqa: T201 - the result


def _named(variable: str, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    return (os.environ[variable],) if variable in os.environ else otherwise
