"""Groups of operations on one thread: order, sizes, lateness, failures."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.batching.groups import Groups
from guidkeep.batching.turns import SETTLED
from guidkeep.errors import OutcomeUnknown, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class Thread:
    """What the groups run: doubles numbers, as soon as the gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.ran: list[list[int]] = []
        self.names: set[str] = set()

    def __call__(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.names.add(threading.current_thread().name)
        self.entered.set()
        assert self.gate.wait(timeout=30)
        self.ran.append(list(items))
        if 666 in items:
            raise ZeroDivisionError("not foreseen")
        return [ValueError(f"{item} is odd") if item % 2 else 2 * item for item in items]


class Fixture:
    def __init__(self, timeout: float = 30.0, limit: int = 4) -> None:
        self.thread = Thread()
        self.observed: list[int] = []
        self.given_up: list[asyncio.Future[Any]] = []
        self.groups: Groups[int, int] = Groups(
            "doubler",
            self.thread,
            limit=limit,
            timeout=timeout,
            give_up=self.give_up,
            observe=lambda size, _: self.observed.append(size),
        )

    def give_up(self, done: asyncio.Future[Any]) -> StoreUnavailable:
        self.given_up.append(done)
        return OutcomeUnknown("too late", settled=done)

    async def block(self) -> asyncio.Future[int]:
        """Hands in one operation that stays on the thread until the gate is opened."""
        self.thread.gate.clear()
        self.thread.entered.clear()
        future = self.groups.submit(0)
        await asyncio.to_thread(self.thread.entered.wait, 30)
        return future


@pytest.fixture
async def doubler() -> AsyncIterator[Fixture]:
    made = Fixture()
    yield made
    made.thread.gate.set()
    await made.groups.close()


@pytest.fixture
async def impatient() -> AsyncIterator[Fixture]:
    made = Fixture(timeout=0.02)
    yield made
    made.thread.gate.set()
    await made.groups.close()


async def test_one_operation_is_a_group(doubler: Fixture) -> None:
    assert await doubler.groups.submit(2) == 4
    assert doubler.thread.ran == [[2]]
    assert doubler.observed == [1]


async def test_what_one_turn_of_the_loop_brings_is_one_group_in_order(doubler: Fixture) -> None:
    assert await asyncio.gather(*map(doubler.groups.submit, (6, 2, 4))) == [12, 4, 8]
    assert doubler.thread.ran == [[6, 2, 4]]


async def test_what_the_next_turn_of_the_loop_brings_joins_the_group(doubler: Fixture) -> None:
    """Requests that came in together hand in their operations in two turns."""
    first = doubler.groups.submit(2)
    await asyncio.sleep(0)
    assert [await each for each in (first, doubler.groups.submit(4))] == [4, 8]
    assert doubler.thread.ran == [[2, 4]]


async def test_what_comes_while_a_group_runs_makes_up_the_next(doubler: Fixture) -> None:
    first = await doubler.block()
    others = [doubler.groups.submit(item) for item in (2, 4)]
    await asyncio.sleep(0)
    others.append(doubler.groups.submit(6))
    doubler.thread.gate.set()
    assert await asyncio.gather(first, *others) == [0, 4, 8, 12]
    assert doubler.thread.ran == [[0], [2, 4, 6]]
    assert doubler.observed == [1, 3]


async def test_no_group_is_larger_than_the_limit(doubler: Fixture) -> None:
    items = [2 * number for number in range(10)]
    results = await asyncio.gather(*map(doubler.groups.submit, items))
    assert results == [2 * item for item in items]
    assert doubler.thread.ran == [items[:4], items[4:8], items[8:]]


async def test_all_groups_run_on_one_thread_of_the_name_given(doubler: Fixture) -> None:
    for item in range(0, 20, 2):
        await doubler.groups.submit(item)
    [name] = doubler.thread.names
    assert name.startswith("doubler")


async def test_an_error_reaches_the_one_that_it_belongs_to_only(doubler: Fixture) -> None:
    results = await asyncio.gather(*map(doubler.groups.submit, (2, 3, 4)), return_exceptions=True)
    assert [results[0], results[2]] == [4, 8]
    assert isinstance(results[1], ValueError)
    assert str(results[1]) == "3 is odd"


async def test_an_error_of_the_whole_group_reaches_all_in_it_and_the_next_group_runs(
    doubler: Fixture,
) -> None:
    first = await doubler.block()
    doomed = [doubler.groups.submit(item) for item in (2, 666)]
    doubler.thread.gate.set()
    assert await first == 0
    _, waiting = await asyncio.wait(doomed, timeout=5)
    assert not waiting, "nobody may wait for ever"
    assert [type(future.exception()) for future in doomed] == [ZeroDivisionError] * 2
    assert await doubler.groups.submit(8) == 16


async def test_a_task_that_is_cancelled_learns_of_it_when_the_outcome_is_certain(
    doubler: Fixture,
) -> None:
    first = await doubler.block()

    async def wait() -> int:
        return await doubler.groups.submit(2)

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    assert task.cancel()
    done, _ = await asyncio.wait([task], timeout=0)
    assert not done
    doubler.thread.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await first == 0
    assert doubler.thread.ran == [[0], [2]]


async def test_a_task_that_is_cancelled_hears_first_that_the_outcome_is_unknown(
    impatient: Fixture,
) -> None:
    """So that it keeps its lease until the outcome is certain."""

    async def wait() -> int:
        return await impatient.groups.submit(0)

    impatient.thread.gate.clear()
    task = asyncio.ensure_future(wait())
    await asyncio.to_thread(impatient.thread.entered.wait, 30)
    assert task.cancel()
    with pytest.raises(OutcomeUnknown, match="too late"):
        await task


async def test_close_waits_for_everything_that_was_handed_in(doubler: Fixture) -> None:
    first = await doubler.block()
    others = [doubler.groups.submit(2 * number) for number in range(10)]
    closing = asyncio.ensure_future(doubler.groups.close())
    await asyncio.sleep(0)
    assert not closing.done()
    doubler.thread.gate.set()
    await closing
    assert first.done()
    assert [future.result() for future in others] == [4 * number for number in range(10)]


async def test_close_of_idle_groups_ends_their_thread() -> None:
    fixture = Fixture()
    await fixture.groups.submit(2)
    await fixture.groups.close()
    assert not any(thread.name in fixture.thread.names for thread in threading.enumerate())


async def test_a_late_group_is_given_up_by_those_who_wait_for_it(impatient: Fixture) -> None:
    late = await impatient.block()
    with pytest.raises(OutcomeUnknown, match="too late") as caught:
        await late
    assert caught.value.settled is impatient.given_up[0]
    assert not caught.value.settled.done()
    impatient.thread.gate.set()
    async with asyncio.timeout(30):
        await asyncio.wait([caught.value.settled])
    assert impatient.thread.ran == [[0]]


async def test_those_behind_a_late_group_hear_that_nothing_was_done(impatient: Fixture) -> None:
    late = await impatient.block()
    behind = [impatient.groups.submit(item) for item in (2, 4)]
    results = await asyncio.gather(late, *behind, return_exceptions=True)
    assert [type(result) for result in results] == [OutcomeUnknown] + [StoreUnavailable] * 2
    assert "nothing was done" in str(results[1])
    impatient.thread.gate.set()
    assert await impatient.groups.submit(8) == 16
    assert impatient.thread.ran == [[0], [8]], "what was given up must not run afterwards"


async def test_those_who_come_to_a_group_that_is_late_already_are_answered_too(
    impatient: Fixture,
) -> None:
    late = await impatient.block()
    with pytest.raises(OutcomeUnknown):
        await late
    for item in (2, 4):
        with pytest.raises(StoreUnavailable, match="nothing was done"):
            await impatient.groups.submit(item)
    impatient.thread.gate.set()
    assert await impatient.groups.submit(8) == 16
    assert impatient.thread.ran == [[0], [8]]


async def test_the_answers_to_many_are_made_in_several_turns_of_the_loop() -> None:
    """Others have their turn in between."""
    count = 3 * SETTLED + 2
    doubler = Fixture(limit=count)
    futures = [doubler.groups.submit(item) for item in range(0, 2 * count, 2)]
    made = 0
    while made < count:
        await asyncio.sleep(0)
        before, made = made, sum(future.done() for future in futures)
        assert made - before <= SETTLED
    assert [future.result() for future in futures] == list(range(0, 4 * count, 4))
    assert doubler.observed == [count]
    await doubler.groups.close()
