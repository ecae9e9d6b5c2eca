"""Reads while many records that expired in one second are swept.

There are two loads, each on its own database: requests at a fixed rate, which shows the latency of
a service below its limit, and full load. The time at which the sweep takes the records is set when
the database is filled. Reads are measured before and during the sweep, and the number of swept
records is read from the server about once a second. At the fixed rate, p99 is over all requests
before and during the sweep; at full load it is the median of the p99 of each second.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from statistics import quantiles
from typing import TYPE_CHECKING

from benchmarks.databases import add_expiring, filled
from benchmarks.load import read_random, warm
from benchmarks.paced import Paced
from benchmarks.results import Figure, Outcome, Row, Target, ratios
from benchmarks.servers import guidkeep
from servers.processes import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.bench import Bench
    from benchmarks.databases import Guids
    from benchmarks.servers import Server

QUIET = "quiet"
TARGETS = (Target("≤", 2.0, QUIET),)
RATE = 5_000
"""Requests a second of the fixed rate."""

MARGIN = 1
"""The sweep margin, in seconds."""
PREPARING = 8
"""Seconds to start the server and fill its cache, a generous estimate."""
FILLING = 20e-6
"""Seconds to insert one record, a generous estimate."""
LONGEST = 180
"""The most seconds to watch a sweep, and to wait for it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The number of swept records at a time of the clock `time.monotonic`."""

    at: float
    swept: int


Span = tuple[Seen, Seen]


@dataclass(frozen=True, slots=True)
class Course:
    """Observations of a sweep, and the number of records it had to delete."""

    seen: Sequence[Seen]
    total: int

    def is_before(self, span: Span) -> bool:
        """Whether nothing was swept in that time."""
        return span[1].swept == 0

    def is_inside(self, span: Span) -> bool:
        """Whether the sweep ran all that time."""
        return span[0].swept > 0 and span[1].swept < self.total

    def overlaps(self, span: Span) -> bool:
        """Whether the sweep ran for some of that time."""
        return span[1].swept > 0 and span[0].swept < self.total

    def __str__(self) -> str:
        idle = [seen.at for seen in self.seen if not seen.swept]
        last = self.seen[-1]
        took = f"{last.at - idle[-1]:.0f} s"
        if last.swept >= self.total:
            return f"the sweep took {took}"
        return f"{last.swept:,} were swept within the {took} of the measurement"


def run(bench: Bench) -> Outcome:
    """Runs both loads, the second with wrk."""
    rows = [_paced(bench)]
    if bench.has("wrk"):
        rows.append(_saturated(bench))
    return Outcome(rows)


def _paced(bench: Bench) -> Row:
    with _prepared(bench) as (server, guids):
        sender = Paced(bench, server, guids, RATE)
        try:
            course = _watch(bench, server, lambda: time.sleep(1))
        finally:
            found = sender.stop()

    def p99(spans: Sequence[Span]) -> list[float]:
        within = [(begin.at, end.at) for begin, end in spans]
        latencies = [
            latency for due, latency in found if any(begin <= due < end for begin, end in within)
        ]
        return [quantiles(latencies, n=100)[98]] if latencies else []

    return _row(bench, f"{RATE:,} requests/s", course, p99)


def _saturated(bench: Bench) -> Row:
    windows: list[float] = []
    with _prepared(bench) as (server, guids):
        course = _watch(
            bench,
            server,
            lambda: windows.append(read_random(bench, server, guids, seconds=1).p99),
        )
    by_span = dict(zip(pairwise(course.seen), windows, strict=True))
    return _row(
        bench,
        "at full load",
        course,
        lambda spans: [by_span[span] for span in spans],
    )


@contextmanager
def _prepared(bench: Bench) -> Iterator[tuple[Server, Guids]]:
    """Guidkeep with live records, all cached, and expired records that will soon be swept."""
    count = bench.plan.expiring
    lead = count * FILLING + PREPARING + bench.plan.quiet
    expire = int(time.time() + lead) - MARGIN
    database = filled(bench, bench.plan.records).copy(bench.folder)
    bench.say(f"inserting {count:,} records that expired in one second")
    add_expiring(database, count, expire)
    with guidkeep(
        bench, database.file, "--cache-max-age", "1h", "--sweep-margin", f"{MARGIN}s"
    ) as server:
        warm(bench, server, database.guids)
        yield server, database.guids


def _watch(bench: Bench, server: Server, meanwhile: Callable[[], None]) -> Course:
    """Repeats `load` until all is swept; observes the sweep in between."""
    bench.say("waiting for the sweep")

    def look() -> Seen:
        swept = int(server.metric("guidkeep_swept_records_total"))
        return Seen(time.monotonic(), swept)

    seen = [look()]
    if seen[0].swept:
        raise Failed("the sweep began before reads without it were measured")
    idle = seen[0]
    while seen[-1].swept < bench.plan.expiring and seen[-1].at - idle.at < LONGEST:
        meanwhile()
        seen.append(look())
        if not seen[-1].swept:
            idle = seen[-1]
            if idle.at - seen[0].at > LONGEST:
                raise Failed(f"the sweep did not begin within {LONGEST} s")
    return Course(seen, bench.plan.expiring)


def _row(
    bench: Bench, load: str, course: Course, p99: Callable[[Sequence[Span]], list[float]]
) -> Row:
    spans = list(pairwise(course.seen))
    quiet = p99([span for span in spans[1:] if course.is_before(span)])
    # The sweep was too short to be observed running: use the time around it.
    inside = [span for span in spans if course.is_inside(span)]
    during = p99(inside or [span for span in spans if course.overlaps(span)])
    if not quiet or not during:
        raise Failed("too little was read before the sweep or during it")
    calm, busy = (
        Figure([1000 * value for value in values], " ms", 2) for values in (quiet, during)
    )
    return Row(
        what=f"GET hit p99 during a sweep of {bench.plan.expiring:,}, {load}",
        figure=busy,
        ratios=ratios([busy.value], {QUIET: [calm.value]}),
        targets=TARGETS,
        note=f"quiet: {calm}; {course}",
    )
