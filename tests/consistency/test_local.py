"""Registries over one store in memory and one cache, under virtual time: right, and with faults."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.consistency.blocking import InRedis
from tests.consistency.faults import BRIEF, DENSE, FAULTS, LOST, SKEWED, WIDE, Fault
from tests.consistency.judge import judge, require
from tests.consistency.local import InMemory, run
from tests.consistency.promises import Acknowledged
from tests.consistency.workload import Load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from tests.consistency.judge import Verdict
    from tests.consistency.local import Shared
    from tests.consistency.operations import Operation
    from tests.engines import Engines

    OpenShared = Callable[[Fault], AbstractContextManager[Shared]]

pytestmark = pytest.mark.thorough

SOUND = Fault()
HOT = Load(seed=0, clients=24, guids=5, owned=0, reads=0.85, short=0.1, seconds=3.0)
"""The load that finds faults: many readers of few records."""
SEEDS = 40
"""Maximum attempts of the checker to find a fault. It finds most at the first attempt."""


@pytest.fixture(params=["memory", "redis"])
def open_shared(request: pytest.FixtureRequest) -> OpenShared:
    """Opens a cache with that fault for all nodes."""
    if request.param == "memory":
        return lambda fault: nullcontext(InMemory(fault.cache))
    engines: Engines = request.getfixturevalue("engines")
    url = engines.get("redis").fresh()
    return lambda _: InRedis(url)


def judged(
    open_shared: OpenShared, load: Load, fault: Fault = SOUND
) -> tuple[list[Operation], Verdict]:
    """A run's history, and the verdict on it."""
    with pytest.MonkeyPatch.context() as patch:
        fault.plant(patch.setitem)
        with open_shared(fault) as shared:
            ran = run(
                load,
                shared=shared,
                registry=fault.registry,
                flushes=fault.flushes,
                lost=fault.lost,
            )
    return ran.history, judge(
        ran.history,
        lambda history: [Acknowledged(history, ran.flushes)] if ran.flushes else [],
    )


@pytest.mark.parametrize("skews", [(0.0, 0.0, 0.0), SKEWED], ids=["in time", "skewed"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_history_is_linearizable(
    open_shared: OpenShared, seed: int, skews: Sequence[float]
) -> None:
    load = Load(seed=seed, seconds=6, skews=skews)
    history, verdict = judged(open_shared, load)
    assert len(history) > 2000
    require(verdict, history, f"virtual {seed} {skews}", repr(load))


@pytest.mark.parametrize("seed", [1, 2])
def test_after_a_flush_no_answered_write_is_missed(open_shared: OpenShared, seed: int) -> None:
    load = Load(seed=seed)
    history, verdict = judged(open_shared, load, Fault(flushes=40))
    require(verdict, history, f"virtual flushed {seed}", repr(load))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_write_whose_answer_is_lost_leaves_nothing_wrong(
    open_shared: OpenShared, seed: int
) -> None:
    load = replace(HOT, seed=seed, **WIDE)
    history, verdict = judged(open_shared, load, Fault(lost=LOST))
    assert sum(operation.is_open for operation in history) > 20
    require(verdict, history, f"virtual lost {seed}", repr(load))


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_caught(name: str) -> None:
    caught(name, lambda fault: nullcontext(InMemory(fault.cache)))


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.scripts])
def test_every_fault_of_the_scripts_in_redis_is_caught(engines: Engines, name: str) -> None:
    url = engines.get("redis").fresh()
    caught(name, lambda _: InRedis(url))


def caught(name: str, open_shared: OpenShared) -> None:
    fault = FAULTS[name]
    operations = 0
    for seed in range(1, SEEDS + 1):
        load = replace(HOT, seed=seed, **fault.load)
        history, verdict = judged(open_shared, load, fault)
        operations += len(history)
        if verdict.failures:
            print(f"{name}: caught after {operations} operations")  # noqa: T201 - a measure
            return
    pytest.fail(f"{name}: not caught in {operations} operations")


@pytest.mark.parametrize("loaded", [{}, BRIEF, DENSE], ids=["usual", "brief", "dense"])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_finds_the_faults_finds_nothing_where_there_is_none(
    open_shared: OpenShared, seed: int, loaded: dict[str, Any]
) -> None:
    load = replace(HOT, seed=seed, **loaded)
    history, verdict = judged(open_shared, load)
    require(verdict, history, f"virtual hot {seed}", repr(load))


def test_a_seed_repeats_its_run(open_shared: OpenShared) -> None:
    load = Load(seed=5, seconds=1)
    first, again = (judged(open_shared, load)[0] for _ in range(2))
    assert [str(one) for one in first] == [str(one) for one in again]
