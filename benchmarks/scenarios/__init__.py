"""The scenarios, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.scenarios import (
    bulk,
    engines,
    growth,
    herd,
    hostile,
    memory,
    reads,
    redis,
    start,
    sweep,
    writes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.bench import Bench
    from benchmarks.results import Outcome, Target


@dataclass(frozen=True, slots=True)
class Scenario:
    """A question about Guidkeep's speed.

    Attributes:
        title: the subject.
        run: measures it.
        targets: all its targets, in case it can't be run.
    """

    title: str
    run: Callable[[Bench], Outcome]
    targets: Sequence[Target]


SCENARIOS = {
    "reads": Scenario("GET", reads.run, (*reads.HIT, *reads.COLD)),
    "writes": Scenario("Durable create", writes.run, (*writes.CREATE, *writes.RISES)),
    "growth": Scenario("Growth of the database", growth.run, growth.TARGETS),
    "sweep": Scenario("Reads during a sweep", sweep.run, sweep.TARGETS),
    "start": Scenario("Start and idle memory", start.run, (*start.SECONDS, *start.MEMORY)),
    "memory": Scenario("The memory cache's count of its bytes", memory.run, memory.TARGETS),
    "redis": Scenario("GET through Redis", redis.run, redis.TARGETS),
    "engines": Scenario("Durable create on MariaDB and PostgreSQL", engines.run, engines.TARGETS),
    "bulk": Scenario("Many records at once", bulk.run, (*bulk.FASTER, *bulk.EQUAL, *bulk.FLAT)),
    "herd": Scenario("A herd of clients", herd.run, herd.TARGETS),
    "hostile": Scenario("One client against the rest", hostile.run, ()),
}
