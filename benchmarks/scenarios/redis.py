"""GET of records that are all in Redis: Guidkeep beside Webdis, on the same Redis.

Entries live for an hour here instead of the default minute: otherwise a measurement would find
entries of the one before, which would expire during it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.databases import filled, responses
from benchmarks.load import read_hits, read_random
from benchmarks.results import GUIDKEEP, WEBDIS, Figure, Outcome, Row, Target, ratios
from benchmarks.servers import fill_redis, guidkeep, webdis

if TYPE_CHECKING:
    from benchmarks.bench import Bench

TARGETS = (Target("≥", 0.25, WEBDIS),)


def run(bench: Bench) -> Outcome:
    """Measures both in turn; each has its own keys in that Redis."""
    database = filled(bench, bench.plan.records)
    with ExitStack() as stack:
        other, redis = stack.enter_context(webdis(bench, durable=False))
        cache = ("--cache", f"{redis.url}/1", "--cache-max-age", "1h")
        server = stack.enter_context(guidkeep(bench, database.copy(bench.folder).file, *cache))
        fill_redis(redis, responses(bench, server, database))
        found = bench.rounds(
            {
                GUIDKEEP: lambda: read_hits(bench, server, database.guids).rate,
                WEBDIS: lambda: read_random(bench, other, database.guids).rate,
            }
        )
    return Outcome(
        [
            Row(
                what=f"GET hit, {bench.plan.records:,} records in Redis",
                figure=Figure(found[GUIDKEEP], "/s"),
                ratios=ratios(found[GUIDKEEP], {WEBDIS: found[WEBDIS]}),
                targets=TARGETS,
            ),
            Row(
                what=f"{WEBDIS}, GET of the same keys in the same Redis",
                figure=Figure(found[WEBDIS], "/s"),
            ),
        ]
    )
