"""Tries every order in which operations on one GUID can take their steps, on the real code.

`Run` is one schedule: the real registry (or two, as two nodes), the real cache, a store, and
operations that stop at a gate before (and, optionally, after) each call to cache and store. At each
point the test chooses the next event. An operation takes its next step, or fails in it. Or, as
often as the scenario allows, the record expires, the cache is flushed, or an operation is
cancelled.

`explore` tries all choices, depth first. A coroutine can't be copied, so each schedule begins anew
and repeats the choices up to its branch. A state that was explored before is not explored again. A
state is the content of cache and store, the results that each operation has seen, the gate where it
waits, and the judge's knowledge. `wander` chooses at random.

After its last choice a schedule runs to its end with all gates open. Then no lease, load, task or
complaint may be left, and the cache must hold the stored record.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from guidkeep.caches.entries import parse
from guidkeep.caches.memory import MemoryCache
from guidkeep.errors import GuidkeepError
from guidkeep.http.conditions import Preconditions
from guidkeep.http.representation import etag_of
from guidkeep.metrics import Metrics
from guidkeep.record import Record, parse_change
from guidkeep.registry.drafts import Drafts
from guidkeep.registry.registry import Registry
from guidkeep.schema import MetadataSchema
from tests.registry.history import Broken, Doing, History, require
from tests.registry.memory_store import MemoryStore
from tests.registry.steploop import Gates, StepLoop, acting
from tests.registry.stepped import SteppedCache, SteppedStore
from tests.support import GUID, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guidkeep.stores import Store
    from tests.registry.steploop import Parked

    Choose = Callable[["Run", Sequence[str]], str | None]

METRICS, DRAFTS = Metrics(), Drafts(MetadataSchema())
TICK = 0.001
_FAILURES = [(call, False) for call in ("insert", "replace", "delete")]
LIFE = 100
"""Seconds until the first record expires."""


class TickingClock(Clock):
    """Seconds between two requests, so that no two arrive at the same instant."""

    def __call__(self) -> float:
        self.now += TICK
        return self.now


@dataclass(frozen=True)
class Scenario:
    """The operations that run concurrently, and the events that may happen.

    Attributes:
        operations: words of `Run._do`, one per operation: "read update delete".
        first: "stored", "cached" (stored too) or "absent".
        nodes: the number of registries that share cache and store; operations use them in turn.
        may: events that may each happen once: "expiry", "flush", "cancel", "failure".
        after: whether there are gates after the calls too.
        begin: the first steps of every schedule, one letter each: "0" a step of the first
            operation, "1" of the second, "e" the expiry.
        cache, registry: the classes under test.
    """

    operations: str
    first: str = "stored"
    nodes: int = 1
    may: str = ""
    after: bool = False
    begin: str = ""
    cache: type[MemoryCache] = MemoryCache
    registry: type[Registry] = Registry


class Run:
    """One schedule of a scenario.

    Args:
        scenario: the scenario.
        loop: the event loop.
        store: keeps the records; by default a new one in memory.
        guid: the GUID of all operations.
    """

    def __init__(
        self, scenario: Scenario, loop: StepLoop, store: Store | None = None, guid: str = GUID
    ) -> None:
        self.clock = TickingClock()
        self.trace: list[str] = []
        self._scenario = scenario
        self._guid = guid
        self._loop = loop
        self._store = store or MemoryStore()
        self._left = Counter(scenario.may.split())
        self._gates = Gates(loop, after=scenario.after)
        self._cache = scenario.cache(max_size=1 << 20, max_age=60)
        first = self._begin(scenario.first)
        self._history = History(first, acked_only="flush" in self._left)
        self._doings = [Doing(kind, at) for at, kind in enumerate(scenario.operations.split())]
        self._stepped = SteppedCache(self._cache, self._gates, self._history)
        self._kept = SteppedStore(self._store, self._gates, self._history, self._doings)
        self._nodes = [
            scenario.registry(
                self._kept, self._stepped, drafts=DRAFTS, metrics=METRICS, clock=self.clock
            )
            for _ in range(scenario.nodes)
        ]
        self._tasks: list[asyncio.Task[None]] = [
            loop.create_task(self._perform(doing)) for doing in self._doings
        ]
        self._blocked: list[int] = []

    def go(self, choose: Choose) -> None:
        """Runs the schedule; `choose` picks a step by name, or returns None to stop choosing.

        Raises:
            Broken: a promise is broken; it has the schedule so far.
        """
        try:
            self._settle_down()
            while steps := self._steps():
                name = choose(self, list(steps))
                if name is None:
                    break
                self.trace.append(name)
                steps[name]()
                self._settle_down()
            self._finish()
        except Broken as broken:
            self._abandon()
            raise Broken("\n  ".join([str(broken), *self.trace])) from broken

    def first_of(self, steps: Sequence[str]) -> str:
        """The next step of the scenario's beginning; after it, the first possible step."""
        letter = self._scenario.begin[len(self.trace) :][:1]
        return next(step for step in steps if step.startswith(letter))

    def state(self) -> object:
        """The state: two runs of a scenario with equal states have the same future."""
        return (
            tuple(self._known_to(doing) for doing in self._doings),
            tuple((parked.operation, parked.at) for parked in self._gates.parked),
            tuple(self._blocked),
            tuple(
                (record.metadata, record.expire) if record else None
                for record in self._history.states
            ),
            self._history.floor,
            self._stepped.state(self._guid),
            tuple(bool(after) for node in self._nodes for after in node._loads._under_way.values()),
            tuple(len(node._loads) for node in self._nodes),
            tuple(self._left.items()),
            len(self._kept.late),
            int(self.clock.now),
        )

    def _known_to(self, doing: Doing) -> object:
        """An operation's state: its last calls, and whether it has failed to write before."""
        if doing.outcome is not None:
            return None
        learnt = self._gates.learnt[doing.number]
        failed = any(call in learnt for call in _FAILURES)
        return (doing.floor, int(doing.now), failed, "cancelled" in learnt, tuple(learnt[-3:]))

    # The beginning, the iterations in between, and the end.

    def _begin(self, first: str) -> Record | None:
        if first == "absent":
            return None
        now = self.clock()
        record = Record(self._guid, int(now) + LIFE, int(now * 1e6), '{"user":"Ann"}')
        require(self._loop.run(self._store.insert(record)), "the GUID was used before")
        if first == "cached":
            lease = self._loop.run(self._cache.lease(self._guid))
            self._loop.run(self._cache.settle(lease, record, now))
        return record

    def _settle_down(self) -> None:
        """Runs all operations as far as they can go."""
        self._loop.run_until_quiet()
        for task in self._tasks:
            if task.done():
                task.result()
        moving = {parked.operation for parked in self._gates.parked}
        still = [at for at, task in enumerate(self._tasks) if at not in moving and not task.done()]
        self._blocked = [at for at in self._blocked if at in still]
        self._blocked += [at for at in still if at not in self._blocked]

    def _finish(self) -> None:
        self._gates.let_all_go()
        while self._kept.late:
            self._late_write(lands=True)
            self._loop.run_until_quiet()
        self._settle_down()
        for doing, task in zip(self._doings, self._tasks, strict=True):
            require(task.done(), f"{doing.kind} {doing.number} waits for ever")
            require(len(doing.commits) <= 1, f"{doing.kind} {doing.number} happened twice")
        require(not self._cache._standing, f"leases are left: {self._cache._standing}")
        for node in self._nodes:
            require(not node._loads, "a load is left")
            require(not node._tasks, "a task is left")
        require(not self._loop.complaints, f"the loop complains: {self._loop.complaints}")
        answer = self._cache.hit(self._guid, self.clock.now)
        truth = self._history.live(-1, self.clock.now)
        require(answer is None or parse(answer) == truth, "the cache is wrong in the end")
        stored = self._loop.run(self._store.get(self._guid))
        require(stored == self._history.states[-1], "the store is not as history says")

    def _abandon(self) -> None:
        """Ends the tasks of a broken run, after the judgement."""
        self._history.is_over = True
        self._gates.let_all_go()
        for late in self._kept.late:
            if late.settled:
                late.settled.set_result(None)
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_quiet()

    # The steps.

    def _steps(self) -> dict[str, Callable[[], None]]:
        """The possible next steps, by name."""
        steps: dict[str, Callable[[], None]] = {}
        for parked in self._gates.parked:
            name = f"{parked.operation} {parked.at}"
            steps[name] = partial(self._gates.release, parked)
            for how in _failures_at(parked.at) if self._left["failure"] else ():
                steps[f"{name} {how}"] = partial(self._fail, parked, how)
        if self._kept.late:
            steps["the late write lands"] = partial(self._late_write, lands=True)
            steps["the late write is undone"] = partial(self._late_write, lands=False)
        if self._left["flush"]:
            steps["flush"] = self._flush
        if self._left["expiry"]:
            steps["expiry"] = self._expire
        if self._left["cancel"]:
            for doing in self._doings:
                if self._can_be_cancelled(doing):
                    steps[f"cancel {doing.number}"] = partial(self._cancel, doing)
        return steps if self._gates.parked or self._kept.late else {}

    def _fail(self, parked: Parked, how: str) -> None:
        self._left["failure"] -= 1
        self._gates.release(parked, how)

    def _late_write(self, *, lands: bool) -> None:
        late = self._kept.late.pop(0)
        try:
            if lands:
                late.write()
        finally:
            if late.settled:
                late.settled.set_result(None)

    def _flush(self) -> None:
        self._left["flush"] -= 1
        self._cache.flush()

    def _expire(self) -> None:
        self._left["expiry"] -= 1
        self.clock.advance(LIFE * 10)

    def _cancel(self, doing: Doing) -> None:
        self._left["cancel"] -= 1
        self._gates.learnt[doing.number].append("cancelled")
        self._tasks[doing.number].cancel()

    def _can_be_cancelled(self, doing: Doing) -> bool:
        """Whether a cancellation can happen here: not in a memory cache, whose calls never wait."""
        task = self._tasks[doing.number]
        at = next((parked.at for parked in self._gates.parked if parked.task is task), "")
        return not task.done() and "cache" not in at

    # The operations.

    async def _perform(self, doing: Doing) -> None:
        acting.set(doing.number)
        outcome: object = "cancelled"
        try:
            await self._gates.stop("before it begins")
            self._history.begin(doing, self.clock.now)
            outcome = await self._do(doing, self._nodes[doing.number % len(self._nodes)])
        except asyncio.CancelledError:
            doing.outcome = outcome
            return
        except GuidkeepError as error:
            outcome = error
        self._history.end(doing, outcome)

    async def _do(self, doing: Doing, node: Registry) -> object:
        guid, now = self._guid, int(self.clock.now)
        mine = f'"{doing.member}": {doing.number}'
        part = parse_change(f"{{{mine}}}".encode(), now=now, guid=guid)
        whole = parse_change(f'{{"user": "Ann", {mine}}}'.encode(), now=now, guid=guid)
        first = self._history.states[0]
        outcome: object = None
        match doing.kind:
            case "read":  # as the HTTP protocol does: what is at hand first
                answer = node.hit(guid)
                outcome = parse(answer) if answer else await node.read(guid)
            case "update":
                outcome = await node.update(guid, part)
            case "swap":
                tags = frozenset([etag_of(first) if first else '"none"'])
                outcome = await node.update(guid, part, Preconditions(if_match=tags))
            case "create":
                outcome = await node.create_or_update(whole)
            case "create-only":
                unless = Preconditions(if_none_match=frozenset("*"))
                outcome = await node.create_or_update(whole, unless)
            case "put":
                outcome = await node.replace(whole)
            case "delete":
                await node.delete(guid)
            case "sweep":
                outcome = await node.sweep(10, int(node.clock()) - 60)
        return outcome


def _failures_at(gate: str) -> Sequence[str]:
    """The ways in which the call behind that gate can fail."""
    if not gate.startswith("before store"):
        return ()
    is_write = not gate.endswith((".get", ".purge"))
    return ("fails", "is late", "is lost") if is_write else ("fails",)


@dataclass(frozen=True)
class Explored:
    """The number of schedules that were tried, and whether these were all."""

    schedules: int
    complete: bool


def explore(scenario: Scenario, *, limit: int) -> Explored:
    """Tries all schedules, at most `limit`.

    Raises:
        Broken: a schedule breaks a promise.
    """
    known: set[object] = set()
    waiting: list[list[str]] = [[]]
    schedules = 0
    with closing(StepLoop()) as loop:
        while waiting and schedules < limit:
            way = waiting.pop()
            schedules += 1

            def choose(run: Run, steps: Sequence[str], way: list[str] = way) -> str | None:
                at = len(run.trace)
                if at < len(scenario.begin):
                    return run.first_of(steps)
                if at < len(way):
                    return way[at]
                state = run.state()
                if state in known:
                    return None
                known.add(state)
                waiting.extend([*run.trace, other] for other in steps[1:])
                return steps[0]

            Run(scenario, loop).go(choose)
    return Explored(schedules, complete=not waiting)


def wander(scenario: Scenario, *, schedules: int, seed: int = 1) -> None:
    """Tries a number of schedules with random choices, which are the same in each run.

    Raises:
        Broken: a schedule breaks a promise.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    with closing(StepLoop()) as loop:
        for _ in range(schedules):
            Run(scenario, loop).go(lambda _, steps: chance.choice(steps))
