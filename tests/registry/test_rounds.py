"""Rounds: what arrives together travels together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from guidkeep.batching.rounds import Rounds
from guidkeep.batching.turns import SETTLED
from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from tests.support import turns

if TYPE_CHECKING:
    from collections.abc import Sequence


TIMEOUT = 60.0


class Doubler:
    """Doubles numbers, in rounds that come back when the test lets them."""

    def __init__(self, *, limit: int = 100, at_once: int = 1) -> None:
        self.rounds = Rounds[int, int](
            self.run,
            limit=limit,
            at_once=at_once,
            timeout=TIMEOUT,
            observe=lambda size, seconds: self.observed.append((size, seconds >= 0)),
        )
        self.began: list[list[int]] = []
        self.untils: list[float] = []
        self.observed: list[tuple[int, bool]] = []
        self.gates: list[asyncio.Future[Exception | None]] = []

    async def run(self, items: Sequence[int], until: float) -> Sequence[int | BaseException]:
        self.began.append(list(items))
        self.untils.append(until)
        gate: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        if error := await gate:
            raise error
        return [2 * item if item >= 0 else ValueError(item) for item in items]

    async def let_back(self, error: Exception | None = None) -> None:
        """Lets the first round that is still on its way come back."""
        await turns()
        self.gates.pop(0).set_result(error)
        await turns()


async def test_what_one_turn_of_the_loop_brings_travels_together() -> None:
    doubler = Doubler()
    outcomes = [doubler.rounds.submit(item) for item in range(5)]
    await doubler.let_back()
    assert await asyncio.gather(*outcomes) == [0, 2, 4, 6, 8]
    assert doubler.began == [[0, 1, 2, 3, 4]]
    assert doubler.observed == [(5, True)]


async def test_the_answers_to_many_are_made_in_several_turns_of_the_loop() -> None:
    """Others have their turn in between."""
    count = 3 * SETTLED + 1
    doubler = Doubler(limit=count)
    outcomes = [doubler.rounds.submit(item) for item in range(count)]
    await turns(3)
    doubler.gates.pop().set_result(None)
    made = 0
    while made < count:
        await asyncio.sleep(0)
        before, made = made, sum(outcome.done() for outcome in outcomes)
        assert made - before <= SETTLED
    assert [outcome.result() for outcome in outcomes] == [2 * item for item in range(count)]


async def test_a_cancellation_while_answers_are_made_leaves_nobody_waiting() -> None:
    """As when a loop that ends cancels all its tasks."""
    count = 3 * SETTLED
    doubler = Doubler(limit=count)
    outcomes = [doubler.rounds.submit(item) for item in range(count)]
    await turns(3)
    doubler.gates.pop().set_result(None)
    while not outcomes[0].done():  # noqa: ASYNC110 - what comes a turn later is too late
        await asyncio.sleep(0)
    assert not outcomes[-1].done()
    for task in doubler.rounds._under_way:
        task.cancel()
    await turns()
    assert all(outcome.done() for outcome in outcomes)


async def test_what_the_next_turn_of_the_loop_brings_travels_with_it() -> None:
    """Requests that came in together hand in their operations in two turns."""
    doubler = Doubler(at_once=2)
    outcomes = [doubler.rounds.submit(1)]
    await asyncio.sleep(0)
    outcomes.append(doubler.rounds.submit(2))
    await doubler.let_back()
    assert doubler.began == [[1, 2]]
    assert await asyncio.gather(*outcomes) == [2, 4]


async def test_what_comes_while_all_rounds_are_away_makes_up_the_next() -> None:
    doubler = Doubler(at_once=2)
    first = doubler.rounds.submit(1)
    await turns()
    second = doubler.rounds.submit(2)
    await turns()
    third, fourth = doubler.rounds.submit(3), doubler.rounds.submit(4)
    await turns()
    assert doubler.began == [[1], [2]]
    await doubler.let_back()
    assert first.result() == 2
    assert doubler.began == [[1], [2], [3, 4]]
    await doubler.let_back()
    await doubler.let_back()
    assert [second.result(), third.result(), fourth.result()] == [4, 6, 8]


async def test_a_round_takes_no_more_than_it_may() -> None:
    doubler = Doubler(limit=2, at_once=3)
    outcomes = [doubler.rounds.submit(item) for item in range(5)]
    for _ in range(3):
        await doubler.let_back()
    assert doubler.began == [[0, 1], [2, 3], [4]]
    assert await asyncio.gather(*outcomes) == [0, 2, 4, 6, 8]


async def test_one_that_fails_does_not_fail_the_others_of_its_round() -> None:
    doubler = Doubler()
    good, bad = doubler.rounds.submit(1), doubler.rounds.submit(-1)
    await doubler.let_back()
    assert await good == 2
    with pytest.raises(ValueError, match="-1"):
        await bad


async def test_a_round_that_fails_fails_all_of_it_and_the_next_one_goes_on() -> None:
    doubler = Doubler()
    lost = [doubler.rounds.submit(item) for item in range(2)]
    await doubler.let_back(OutcomeUnknown("lost"))
    for outcome in lost:
        with pytest.raises(OutcomeUnknown):
            await outcome
    later = doubler.rounds.submit(7)
    await doubler.let_back()
    assert await later == 14


async def test_who_was_not_begun_in_time_is_told_so() -> None:
    doubler = Doubler()
    first = doubler.rounds.submit(1)
    await turns()
    late = doubler.rounds.submit(2)
    doubler.rounds._timeout = -1.0  # whoever waits has waited too long
    await doubler.let_back()
    assert await first == 2
    with pytest.raises(StoreUnavailable, match="could not begin within"):
        await late
    assert doubler.began == [[1]]


async def test_a_round_is_given_up_when_the_time_of_its_first_is_up() -> None:
    doubler = Doubler()
    now = asyncio.get_running_loop().time
    doubler.rounds.submit(1)
    await turns()
    before = now()
    doubler.rounds.submit(2)
    between = now()
    while now() == between:
        pass  # the clock's next tick
    doubler.rounds.submit(3)
    await doubler.let_back()
    await doubler.let_back()
    assert doubler.began == [[1], [2, 3]]
    assert before <= doubler.untils[1] - TIMEOUT <= between


async def test_a_task_that_is_cancelled_hears_of_it_when_the_outcome_is_certain() -> None:
    doubler = Doubler()

    async def submitting() -> int:
        return await doubler.rounds.submit(1)

    task = asyncio.create_task(submitting())
    await turns()
    task.cancel()
    await turns()
    assert not task.done()
    await doubler.let_back()
    assert task.cancelled()


async def test_closing_waits_for_what_was_handed_in() -> None:
    doubler = Doubler(limit=1)
    outcomes = [doubler.rounds.submit(item) for item in range(2)]
    closing = asyncio.create_task(doubler.rounds.close())
    await doubler.let_back()
    assert not closing.done()
    await doubler.let_back()
    await closing
    assert [outcome.result() for outcome in outcomes] == [0, 2]
