"""The batcher, with each of its runners: what arrives together travels together."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.batching.batcher import PER_ITERATION, Batcher, Batchers
from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from tests.batching.doubler import (
    LONG,
    Doubler,
    Make,
    awaited,
    doubled,
    two_over_asyncio,
)
from tests.support import iterations

if TYPE_CHECKING:
    from collections.abc import Sequence


async def test_one_operation_is_a_batch(doubler: Doubler) -> None:
    outcome = doubler.batcher.submit(2)
    await doubler.let_back()
    assert await outcome == 4
    assert doubler.ran == [[2]]
    assert doubler.observed == [(1, True)]


async def test_the_operations_of_one_iteration_are_one_batch_in_order(doubler: Doubler) -> None:
    outcomes = [doubler.batcher.submit(item) for item in (6, 2, 4)]
    await doubler.let_back()
    assert await asyncio.gather(*outcomes) == [12, 4, 8]
    assert doubler.ran == [[6, 2, 4]]
    assert doubler.observed == [(3, True)]


async def test_the_operations_of_the_next_iteration_join_the_batch(doubler: Doubler) -> None:
    """Requests that came in together submit their operations in two iterations."""
    outcomes = [doubler.batcher.submit(1)]
    await asyncio.sleep(0)
    outcomes.append(doubler.batcher.submit(2))
    await doubler.let_back()
    assert doubler.ran == [[1, 2]]
    assert await asyncio.gather(*outcomes) == [2, 4]


async def test_a_batch_leaves_after_the_next_iteration_without_waiting_for_more(
    doubler: Doubler,
) -> None:
    doubler.batcher.submit(1)
    await iterations(3)
    doubler.batcher.submit(2)
    await doubler.begun()
    assert doubler.ran == [[1]]


async def test_operations_that_arrive_while_a_batch_is_under_way_make_up_the_next(
    doubler: Doubler,
) -> None:
    outcomes = [doubler.batcher.submit(1)]
    await doubler.begun()
    outcomes.append(doubler.batcher.submit(2))
    await iterations()
    outcomes += [doubler.batcher.submit(3), doubler.batcher.submit(4)]
    await iterations()
    assert doubler.ran == [[1]]
    await doubler.let_back()
    await doubler.let_back()
    assert doubler.ran == [[1], [2, 3, 4]]
    assert await asyncio.gather(*outcomes) == [2, 4, 6, 8]


@pytest.mark.parametrize("make", ["asyncio"], indirect=True)
async def test_as_many_batches_are_on_their_way_as_the_runner_runs_at_once(make: Make) -> None:
    doubler = make(two_over_asyncio)
    outcomes = []
    for item in (1, 2, 3, 4):
        outcomes.append(doubler.batcher.submit(item))
        await iterations()
    assert doubler.ran == [[1], [2]]
    await doubler.let_back()
    assert doubler.ran == [[1], [2], [3, 4]]
    await doubler.let_back()
    await doubler.let_back()
    assert await asyncio.gather(*outcomes) == [2, 4, 6, 8]


async def test_no_batch_is_larger_than_the_limit(make: Make) -> None:
    doubler = make(limit=2)
    outcomes = [doubler.batcher.submit(item) for item in range(5)]
    for _ in range(3):
        await doubler.let_back()
    assert doubler.ran == [[0, 1], [2, 3], [4]]
    assert await asyncio.gather(*outcomes) == [0, 2, 4, 6, 8]


async def test_the_next_batch_leaves_before_the_outcomes_of_the_last_are_resolved(
    doubler: Doubler,
) -> None:
    """So that the store works while responses are made."""
    run = doubler.runner.run
    resolved: list[bool] = []

    def run_and_look(*arguments: Any) -> Any:
        resolved.append(first.done())
        return run(*arguments)

    doubler.runner.run = run_and_look  # type: ignore[method-assign, assignment]  # it looks first
    first = doubler.batcher.submit(1)
    await doubler.begun()
    doubler.batcher.submit(2)
    await doubler.let_back()
    assert first.done()
    assert resolved == [False, False]


async def test_many_outcomes_are_resolved_in_several_iterations(make: Make) -> None:
    """Other requests go on in between."""
    count = 3 * PER_ITERATION + 1
    doubler = make(limit=count)
    outcomes = [doubler.batcher.submit(item) for item in range(count)]
    await doubler.begun()
    doubler.gates.pop().set_result(None)
    made = 0
    while made < count:
        await asyncio.sleep(0)
        before, made = made, sum(outcome.done() for outcome in outcomes)
        assert made - before <= PER_ITERATION
    assert [outcome.result() for outcome in outcomes] == [2 * item for item in range(count)]
    assert doubler.observed == [(count, True)]


async def test_an_operation_that_fails_fails_alone(doubler: Doubler) -> None:
    good, bad, better = (doubler.batcher.submit(item) for item in (1, -1, 3))
    await doubler.let_back()
    assert [await good, await better] == [2, 6]
    with pytest.raises(ValueError, match="-1"):
        await bad


async def test_a_runner_that_fails_fails_the_whole_batch_and_runs_the_next(
    doubler: Doubler,
) -> None:
    lost = [doubler.batcher.submit(item) for item in range(2)]
    await doubler.let_back(ZeroDivisionError("not foreseen"))
    assert [type(outcome.exception()) for outcome in lost] == [ZeroDivisionError] * 2
    later = doubler.batcher.submit(7)
    await doubler.let_back()
    assert await later == 14


class Broken:
    """A runner that can't begin a batch, or returns a wrong number of results."""

    at_once = 1
    patience = LONG

    def __init__(self, results: list[int] | None) -> None:
        self.results = results

    def run(self, *_: object) -> asyncio.Future[Sequence[int | BaseException]]:
        if self.results is None:
            raise RuntimeError("can't start new thread")
        done: asyncio.Future[Sequence[int | BaseException]] = asyncio.Future()
        done.set_result(self.results)
        return done

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("results", "error"),
    [(None, OutcomeUnknown), ([], RuntimeError), ([1], RuntimeError), ([1, 2, 3], RuntimeError)],
)
async def test_every_operation_has_an_outcome_though_the_runner_breaks_its_promise(
    results: list[int] | None, error: type[Exception]
) -> None:
    batcher: Batcher[int, int] = Batcher(Broken(results), limit=9, observe=lambda *_: None)
    lost = [batcher.submit(item) for item in range(2)]
    await iterations()
    assert [outcome.done() and type(outcome.exception()) for outcome in lost] == [error] * 2
    await batcher.close()


@pytest.mark.parametrize("make", ["asyncio"], indirect=True)
async def test_a_batch_that_is_cancelled_leaves_no_operation_waiting(make: Make) -> None:
    """An event loop that ends cancels all its tasks."""
    count = 3 * PER_ITERATION
    doubler = make(limit=count)
    outcomes = [doubler.batcher.submit(item) for item in range(count)]
    await doubler.begun()
    [batch] = doubler.batcher._running
    batch.cancel()
    await iterations()
    assert all(isinstance(outcome.exception(), asyncio.CancelledError) for outcome in outcomes)
    assert doubler.gates.pop().cancelled()


async def test_a_task_that_is_cancelled_learns_of_it_when_the_outcome_is_certain(
    doubler: Doubler,
) -> None:
    task = asyncio.create_task(awaited(doubler.batcher.submit(1)))
    await doubler.begun()
    task.cancel()
    await iterations()
    assert not task.done()
    await doubler.let_back()
    assert task.cancelled()
    assert doubler.ran == [[1]]


async def test_an_operation_that_waits_longer_than_the_runner_allows_is_refused(
    make: Make,
) -> None:
    doubler = make()
    first = doubler.batcher.submit(1)
    await doubler.begun()
    late = doubler.batcher.submit(2)
    doubler.runner.patience = -1.0  # any wait is too long
    await doubler.let_back()
    assert await first == 2
    with pytest.raises(StoreUnavailable, match=r"could not begin within .* nothing was done"):
        await late
    assert doubler.ran == [[1]]


async def test_closing_waits_for_everything_that_was_handed_in(make: Make) -> None:
    doubler = make(limit=1)
    outcomes = [doubler.batcher.submit(item) for item in range(2)]
    closing = asyncio.create_task(doubler.batcher.close())
    await doubler.let_back()
    assert not closing.done()
    await doubler.let_back()
    await closing
    assert [outcome.result() for outcome in outcomes] == [0, 2]


async def test_closing_an_idle_batcher_returns_at_once(doubler: Doubler) -> None:
    await doubler.batcher.close()
    assert doubler.ran == []


async def test_the_batchers_of_a_store_count_by_kind_and_close_together() -> None:
    observed: list[tuple[str, int]] = []
    batchers = Batchers(
        timeout=LONG,
        observe=lambda kind: lambda size, _: observed.append((kind, size)),
    )

    async def run(items: Sequence[int], _: float) -> Sequence[int | BaseException]:
        return doubled(items)

    def fail(_: object) -> StoreUnavailable:
        raise AssertionError("nothing is late here")

    read: Batcher[int, int] = batchers.of("read", run, limit=2, give_up=lambda: fail(None))
    write: Batcher[int, int] = batchers.on_thread("write", doubled, name="writer", give_up=fail)
    outcomes = [batcher.submit(item) for item in range(2) for batcher in (read, write)]
    await batchers.close()
    assert [outcome.result() for outcome in outcomes] == [0, 0, 2, 2]
    assert sorted(observed) == [("read", 2), ("write", 1), ("write", 1)]
    assert not any(thread.name.startswith("writer") for thread in threading.enumerate())
