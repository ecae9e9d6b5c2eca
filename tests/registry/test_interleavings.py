"""The promises of the cache and the store's writes, in every order of their steps."""

from __future__ import annotations

import dataclasses
import random
from contextlib import closing
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guidkeep.caches.memory import MemoryCache
from guidkeep.metrics import Metrics
from guidkeep.registry.registry import Registry
from guidkeep.stores import open_store
from tests.model.protocol import FAULTS
from tests.registry.explorer import Run, Scenario, explore, wander
from tests.registry.faults import SCENARIOS
from tests.registry.history import Broken
from tests.registry.steploop import StepLoop

if TYPE_CHECKING:
    from pathlib import Path

MAIN = ("read", "update", "create", "delete")
OTHERS = ("put", "swap", "create-only", "sweep")
PAIRS = [
    *combinations_with_replacement(MAIN, 2),
    *((other, main) for other in OTHERS for main in ("read", "update", "create")),
]
PERILS = ("expiry", "flush", "cancel failure")
FIRST = ("stored", "cached", "absent")


@pytest.mark.parametrize(("first", "nodes"), [("stored", 1), ("cached", 2), ("absent", 2)])
@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_two_operations_in_any_order_of_their_steps_keep_every_promise(
    pair: tuple[str, str], first: str, nodes: int
) -> None:
    assert explore(Scenario(" ".join(pair), first, nodes=nodes), limit=2_000).complete


@pytest.mark.thorough
@pytest.mark.parametrize("pair", ["read update", "read delete", "update delete"])
def test_it_makes_no_difference_if_answers_are_slow_to_arrive(pair: str) -> None:
    """With gates after the calls too, as with a cache and a store on other machines."""
    for nodes in (1, 2):
        assert explore(Scenario(pair, nodes=nodes, after=True), limit=4_000).complete


@pytest.mark.thorough
@pytest.mark.parametrize("peril", PERILS)
@pytest.mark.parametrize(
    ("pair", "nodes"),
    [("read update", 1), ("read update", 2), ("read delete", 2), ("update delete", 1)],
)
def test_two_operations_keep_every_promise_whatever_befalls_them(
    pair: str, nodes: int, peril: str
) -> None:
    assert explore(Scenario(pair, nodes=nodes, may=peril), limit=20_000).complete


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("operations", "nodes"),
    [("read read update", 1), ("read read delete", 2), ("read update update", 2)],
)
def test_three_operations_in_any_order_of_their_steps_keep_every_promise(
    operations: str, nodes: int
) -> None:
    assert explore(Scenario(operations, nodes=nodes), limit=6_000).complete


@pytest.mark.parametrize("peril", ["", *PERILS])
@pytest.mark.parametrize(
    "operations",
    ["read update delete create read", "read update update read update", "create put delete read"],
)
def test_more_operations_keep_every_promise_in_orders_taken_at_random(
    operations: str, peril: str
) -> None:
    for nodes in (1, 2):
        wander(Scenario(operations, nodes=nodes, may=peril, after=nodes == 1), schedules=60)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    operations = draw(st.lists(st.sampled_from(MAIN + OTHERS), min_size=2, max_size=6))
    perils = draw(st.sets(st.sampled_from(PERILS)))
    return Scenario(
        " ".join(operations),
        draw(st.sampled_from(FIRST)),
        nodes=draw(st.integers(1, 2)),
        may=" ".join(sorted(perils)),
        after=draw(st.booleans()),
    )


@settings(max_examples=300, deadline=None)
@given(scenarios(), st.lists(st.integers(0, 11), max_size=80))
def test_any_operations_in_any_order_keep_every_promise(
    scenario: Scenario, choices: list[int]
) -> None:
    left = iter(choices)
    with closing(StepLoop()) as loop:
        Run(scenario, loop).go(lambda _, steps: steps[next(left, 0) % len(steps)])


@pytest.mark.thorough
@pytest.mark.parametrize("fault", FAULTS)
def test_each_planted_fault_is_caught(fault: str) -> None:
    scenario = SCENARIOS[fault]
    sound = dataclasses.replace(scenario, cache=MemoryCache, registry=Registry)
    with pytest.raises(Broken):
        explore(scenario, limit=5_000)
    explore(sound, limit=200)


@pytest.mark.parametrize("operations", ["read update update", "create delete read", "put swap"])
def test_the_same_holds_over_the_store_that_is_shipped(tmp_path: Path, operations: str) -> None:
    """The event loop runs the work of its threads; file, statements and commits are real."""
    chance = random.Random(1)  # noqa: S311 - no secret
    with closing(StepLoop()) as loop:
        url = f"sqlite:///{tmp_path / 'guidkeep.db'}"
        store = loop.run(open_store(url, timeout=5, metrics=Metrics()))
        for at in range(60):
            scenario = Scenario(operations, FIRST[at % 3], nodes=1 + at % 2, may=PERILS[at % 3])
            Run(scenario, loop, store, f"{at:032X}").go(lambda _, steps: chance.choice(steps))
        loop.run(store.close())


def test_what_takes_the_place_of_an_expired_record_is_newer_than_that(tmp_path: Path) -> None:
    """Though a request from before the expiry wrote it when the newcomer had seen what was there.

    Both updates read; the record expires; one of them writes. The creation sees that and gets its
    version; the other update, which failed, writes the next one. Then comes the insert.
    """
    begin = "0000" + "11" + "e" + "111" + "2222" + "000000" + "22"
    scenario = Scenario("update update create", may="expiry", begin=begin)
    assert explore(scenario, limit=100).complete
    with closing(StepLoop()) as loop:
        store = loop.run(open_store(f"sqlite:///{tmp_path / 'db'}", timeout=5, metrics=Metrics()))
        try:
            Run(scenario, loop, store).go(Run.first_of)
        finally:
            loop.run(store.close())


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("peril", ["", *PERILS])
@pytest.mark.parametrize("operations", [*combinations_with_replacement(MAIN, 3)], ids=" ".join)
def test_all_orders_of_three_operations(operations: tuple[str, ...], peril: str) -> None:
    for nodes in (1, 2):
        for first in FIRST:
            scenario = Scenario(" ".join(operations), first, nodes=nodes, may=peril)
            assert explore(scenario, limit=1_000_000).complete
