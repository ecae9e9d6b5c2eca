"""Reads while a great many records that expired in one second are reclaimed.

Two loads, each on a database of its own: requests at a fixed rate (what clients of a service
that is not at its limit see) and as many as go. When the records fall due for the sweep is set
when the database is made; reads are measured before and during, and what was swept is read
from the server about once a second. At the fixed rate p99 is that of all requests of the time
before and of the time of the sweep; where as many as go it is taken of each second, and the
median of the seconds stands for it.
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
"""Requests a second, of the load that is not at the limit."""

MARGIN = 1
"""Seconds after a record's expiry before which Guidkeep is told not to sweep it."""
PREPARING = 8
"""Seconds to start the server and fill its cache, generously."""
FILLING = 20e-6
"""Seconds to put in one record, generously."""
LONGEST = 180
"""Seconds of a sweep that are watched, and of waiting for it, at most."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How much had been swept at a time on the clock `time.monotonic`."""

    at: float
    swept: int


Span = tuple[Seen, Seen]


@dataclass(frozen=True, slots=True)
class Course:
    """What was seen of a sweep, and how many records it had to reclaim."""

    seen: Sequence[Seen]
    total: int

    def is_before(self, span: Span) -> bool:
        """Whether nothing was swept in that span."""
        return span[1].swept == 0

    def is_inside(self, span: Span) -> bool:
        """Whether the sweep went on all through it."""
        return span[0].swept > 0 and span[1].swept < self.total

    def overlaps(self, span: Span) -> bool:
        """Whether the sweep went on in some of it."""
        return span[1].swept > 0 and span[0].swept < self.total

    def __str__(self) -> str:
        idle = [seen.at for seen in self.seen if not seen.swept]
        last = self.seen[-1]
        took = f"{last.at - idle[-1]:.0f} s"
        if last.swept >= self.total:
            return f"the sweep took {took}"
        return f"{last.swept:,} were swept within the {took} that were watched"


def run(bench: Bench) -> Outcome:
    """Both loads; the second with wrk."""
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
        "as many as go",
        course,
        lambda spans: [by_span[span] for span in spans],
    )


@contextmanager
def _prepared(bench: Bench) -> Iterator[tuple[Server, Guids]]:
    """Guidkeep with live records, all in its cache, and expired ones that soon fall due."""
    count = bench.plan.expiring
    lead = count * FILLING + PREPARING + bench.plan.quiet
    expire = int(time.time() + lead) - MARGIN
    database = filled(bench, bench.plan.records).copy(bench.folder)
    bench.say(f"putting in {count:,} records that expired in one second")
    add_expiring(database, count, expire)
    with guidkeep(
        bench, database.file, "--cache-max-age", "1h", "--sweep-margin", f"{MARGIN}s"
    ) as server:
        warm(bench, server, database.guids)
        yield server, database.guids


def _watch(bench: Bench, server: Server, meanwhile: Callable[[], None]) -> Course:
    """Does something again and again until all is swept; looks at the sweep in between."""
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
    # A sweep that was over too soon to be seen going on: the time around it.
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
