"""Registries over one store and one cache in memory, under virtual time: right, and with faults."""

from __future__ import annotations

import pytest

from tests.consistency.faults import FAULTS
from tests.consistency.judge import judge, require
from tests.consistency.local import Run, run
from tests.consistency.promises import Acknowledged
from tests.consistency.workload import Load

HOT = {"clients": 24, "guids": 2, "reads": 0.85, "seconds": 3.0}
"""What faults are looked for with: many readers of few records."""
SEEDS = 12
"""As many tries has the checker to find a fault; most it finds at the first."""


def promises_of(ran: Run):  # type: ignore[no-untyped-def]  # noqa: ANN201 - see judge.PromisesOf
    return lambda history: [Acknowledged(history, ran.flushes)] if ran.flushes else []


@pytest.mark.parametrize("skews", [(0.0, 0.0, 0.0), (0.0, 1.5, -2.0)], ids=["in time", "skewed"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_history_is_linearizable(seed: int, skews: tuple[float, float, float]) -> None:
    load = Load(seed=seed, seconds=6, skews=skews)
    history = run(load).history
    assert len(history) > 4000
    require(judge(history), history, f"local-{seed}-{skews}", repr(load))


@pytest.mark.parametrize("seed", [1, 2])
def test_after_a_flush_no_answered_write_is_missed(seed: int) -> None:
    load = Load(seed=seed)
    ran = run(load, flushes=40)
    require(judge(ran.history, promises_of(ran)), ran.history, f"flushed-{seed}", repr(load))


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_caught(name: str) -> None:
    fault = FAULTS[name]
    operations = 0
    for seed in range(1, SEEDS + 1):
        ran = run(
            Load(seed=seed, **HOT),
            cache=fault.cache,
            registry=fault.registry,
            flushes=fault.flushes,
        )
        operations += len(ran.history)
        if judge(ran.history, promises_of(ran)).failures:
            print(f"{name}: caught after {operations} operations")  # noqa: T201 - a measure
            return
    pytest.fail(f"{name}: not caught in {operations} operations")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_finds_the_faults_finds_nothing_where_there_is_none(seed: int) -> None:
    load = Load(seed=seed, **HOT)
    history = run(load).history
    require(judge(history), history, f"hot-{seed}", repr(load))


def test_a_seed_repeats_its_run() -> None:
    load = Load(seed=5, seconds=1)
    assert [str(one) for one in run(load).history] == [str(one) for one in run(load).history]
