"""The runners: the time of a batch over asyncio and on a thread, and batches that never end."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from guidkeep.batching import runners
from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from tests.batching.doubler import (
    EVERY_RUNNER,
    LONG,
    SHORT,
    Doubler,
    Make,
    awaited,
    over_asyncio,
    two_over_asyncio,
)


async def test_an_operation_has_half_its_time_to_begin_and_a_thread_all_of_it() -> None:
    """On a thread the time of a batch begins with the batch."""
    doublers = [Doubler(make) for make in EVERY_RUNNER.values()]
    assert [doubler.runner.patience for doubler in doublers] == [LONG / 2, LONG]
    for doubler in doublers:
        await doubler.close()


@pytest.mark.parametrize("make", ["asyncio"], indirect=True)
async def test_a_batch_has_to_end_when_the_time_of_its_first_operation_is_over(make: Make) -> None:
    doubler = make()
    now = asyncio.get_running_loop().time
    doubler.batcher.submit(1)
    await doubler.begun()
    before = now()
    doubler.batcher.submit(2)
    between = now()
    while now() == between:
        pass  # the clock's next tick
    doubler.batcher.submit(3)
    await doubler.let_back()
    await doubler.let_back()
    assert doubler.ran == [[1], [2, 3]]
    assert before <= doubler.untils[1] - LONG <= between


# A thread can't be stopped; the batcher can only stop waiting for it.

only_on_a_thread = pytest.mark.parametrize("make", ["thread"], indirect=True)


@only_on_a_thread
async def test_all_batches_run_on_one_thread_of_the_name_given_and_closing_ends_it(
    make: Make,
) -> None:
    doubler = make()
    for item in range(5):
        outcome = doubler.batcher.submit(item)
        await doubler.let_back()
        assert await outcome == 2 * item
    [name] = doubler.threads
    assert name.startswith("doubler")
    await doubler.batcher.close()
    assert name not in {thread.name for thread in threading.enumerate()}


@only_on_a_thread
async def test_a_late_batch_is_given_up_and_runs_to_its_end(make: Make) -> None:
    doubler = make(timeout=SHORT)
    late = [doubler.batcher.submit(item) for item in range(2)]
    for outcome in late:
        with pytest.raises(OutcomeUnknown, match="too late") as caught:
            await outcome
    done: asyncio.Future[Any]
    [done] = doubler.given_up
    assert caught.value.settled is done
    assert not done.done()
    await doubler.let_back()
    assert done.done()
    assert doubler.ran == [[0, 1]]


@only_on_a_thread
async def test_operations_behind_a_late_batch_are_refused_and_never_run(make: Make) -> None:
    doubler = make(timeout=SHORT)
    late = doubler.batcher.submit(0)
    await doubler.begun()
    behind = [doubler.batcher.submit(item) for item in (2, 4)]
    results = await asyncio.gather(late, *behind, return_exceptions=True)
    assert [type(result) for result in results] == [OutcomeUnknown] + [StoreUnavailable] * 2
    assert "nothing was done" in str(results[1])
    for item in (6, 8):  # the batch is late already
        with pytest.raises(StoreUnavailable, match="nothing was done"):
            await doubler.batcher.submit(item)
    await doubler.let_back()
    doubler.runner._timeout = LONG
    after = doubler.batcher.submit(10)
    await doubler.let_back()
    assert await after == 20
    assert doubler.ran == [[0], [10]]
    assert len(doubler.given_up) == 1


@pytest.mark.parametrize("make", ["asyncio"], indirect=True)
@pytest.mark.parametrize("runner", [over_asyncio, two_over_asyncio])
async def test_a_batch_that_never_ends_holds_up_no_operation_over_asyncio(
    make: Make, runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver may break its promise to end at its deadline."""
    monkeypatch.setattr(runners, "GRACE_SECONDS", 0.0)
    doubler = make(runner, timeout=SHORT, limit=1)
    count = doubler.runner.at_once + 1
    operations = [doubler.batcher.submit(item) for item in range(count)]
    async with asyncio.timeout(LONG):
        results = await asyncio.gather(*operations, return_exceptions=True)
        assert [type(result) for result in results] == (
            [OutcomeUnknown] * (count - 1) + [StoreUnavailable]
        )
        with pytest.raises(StoreUnavailable, match="nothing was done"):
            await doubler.batcher.submit(count)
    assert doubler.ran == [[item] for item in range(count - 1)]


@only_on_a_thread
async def test_a_task_that_is_cancelled_hears_first_that_the_outcome_is_unknown(
    make: Make,
) -> None:
    """So that it keeps its lease until the outcome is certain."""
    doubler = make(timeout=SHORT)
    task = asyncio.create_task(awaited(doubler.batcher.submit(0)))
    await asyncio.sleep(0)
    assert task.cancel()
    with pytest.raises(OutcomeUnknown, match="too late"):
        await task
