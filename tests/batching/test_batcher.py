"""The batcher, with each of its runners: what arrives together travels together."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.batching import runners
from guidkeep.batching.batcher import SETTLED, Batcher, Batchers
from guidkeep.batching.runners import AsyncioRunner, ThreadRunner
from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from tests.support import iterations, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from guidkeep.batching.batcher import Runner

LONG = 60.0
SHORT = 0.02

Gate = Future["Exception | None"]
"""Holds up a batch until the test sets it: to None, or to an exception that the runner raises."""


class Doubler:
    """A batcher that doubles numbers. The test decides when each batch returns."""

    def __init__(
        self,
        make: Callable[[Doubler, float], Runner[int, int]],
        *,
        limit: int = 100,
        timeout: float = LONG,
    ) -> None:
        self.ran: list[list[int]] = []
        self.untils: list[float] = []
        self.threads: set[str] = set()
        self.observed: list[tuple[int, bool]] = []
        self.given_up: list[asyncio.Future[Any]] = []
        self.gates: list[Gate] = []
        self.is_closing = False
        self.runner = make(self, timeout)
        self.batcher: Batcher[int, int] = Batcher(
            self.runner,
            limit=limit,
            observe=lambda size, seconds: self.observed.append((size, seconds >= 0)),
        )

    def begin(self, items: Sequence[int]) -> Gate:
        gate: Gate = Future()
        self.threads.add(threading.current_thread().name)
        self.ran.append(list(items))
        if self.is_closing:
            gate.set_result(None)
        self.gates.append(gate)
        return gate

    async def run(self, items: Sequence[int], until: float) -> Sequence[int | BaseException]:
        self.untils.append(until)
        if error := await asyncio.wrap_future(self.begin(items)):
            raise error
        return doubled(items)

    def run_on_thread(self, items: Sequence[int]) -> Sequence[int | BaseException]:
        if error := self.begin(items).result(LONG):
            raise error
        return doubled(items)

    def give_up(self, done: asyncio.Future[Any]) -> StoreUnavailable:
        self.given_up.append(done)
        return OutcomeUnknown("too late", settled=done)

    async def begun(self, count: int = 1) -> None:
        """Waits until `count` batches are held up, and then until no task can go on."""
        await until(lambda: len(self.gates) >= count)
        await iterations()

    async def let_back(self, error: Exception | None = None) -> None:
        """Lets the first batch that is held up return."""
        await self.begun()
        back = len(self.observed)
        self.gates.pop(0).set_result(error)
        await until(lambda: len(self.observed) > back)
        await iterations()

    async def close(self) -> None:
        self.is_closing = True
        for gate in self.gates:
            if not gate.done():
                gate.set_result(None)
        await self.batcher.close()


def doubled(items: Sequence[int]) -> Sequence[int | BaseException]:
    return [2 * item if item >= 0 else ValueError(item) for item in items]


def over_asyncio(doubler: Doubler, timeout: float, *, at_once: int = 1) -> Runner[int, int]:
    return AsyncioRunner(
        doubler.run, at_once=at_once, timeout=timeout, give_up=lambda: OutcomeUnknown("too late")
    )


def two_over_asyncio(doubler: Doubler, timeout: float) -> Runner[int, int]:
    return over_asyncio(doubler, timeout, at_once=2)


def on_thread(doubler: Doubler, timeout: float) -> Runner[int, int]:
    return ThreadRunner("doubler", doubler.run_on_thread, timeout=timeout, give_up=doubler.give_up)


EVERY_RUNNER = {"asyncio": over_asyncio, "thread": on_thread}

Make = Any
"""Makes a `Doubler`, given its runner or nothing, and its `limit` and `timeout`."""


@pytest.fixture(params=EVERY_RUNNER)
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Makes doublers with one runner after the other, and closes them."""
    made: list[Doubler] = []

    def make_one(runner: Any = EVERY_RUNNER[request.param], **options: Any) -> Doubler:
        made.append(Doubler(runner, **options))
        return made[-1]

    yield make_one
    for doubler in made:
        await doubler.close()


@pytest.fixture
async def doubler(make: Make) -> Doubler:
    made: Doubler = make()
    return made


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


async def test_the_next_batch_leaves_before_the_outcomes_of_the_last_are_settled(
    doubler: Doubler,
) -> None:
    """So that the store works while responses are made."""
    run = doubler.runner.run
    settled: list[bool] = []

    def run_and_look(*arguments: Any) -> Any:
        settled.append(first.done())
        return run(*arguments)

    doubler.runner.run = run_and_look  # type: ignore[method-assign, assignment]  # it looks first
    first = doubler.batcher.submit(1)
    await doubler.begun()
    doubler.batcher.submit(2)
    await doubler.let_back()
    assert first.done()
    assert settled == [False, False]


async def test_many_outcomes_are_settled_in_several_iterations(make: Make) -> None:
    """Other requests go on in between."""
    count = 3 * SETTLED + 1
    doubler = make(limit=count)
    outcomes = [doubler.batcher.submit(item) for item in range(count)]
    await doubler.begun()
    doubler.gates.pop().set_result(None)
    made = 0
    while made < count:
        await asyncio.sleep(0)
        before, made = made, sum(outcome.done() for outcome in outcomes)
        assert made - before <= SETTLED
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
    count = 3 * SETTLED
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


async def awaited(outcome: Awaitable[int]) -> int:
    return await outcome


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
