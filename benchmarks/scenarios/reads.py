"""GET of one record: from the cache, without it, beside nginx and Webdis + Redis."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.databases import filled, responses
from benchmarks.load import CONNECTIONS, read_hits, read_once, read_random
from benchmarks.results import GUIDKEEP, NGINX, WEBDIS, Figure, Outcome, Row, Target, ratios
from benchmarks.servers import fill_redis, guidkeep, nginx, webdis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.bench import Bench
    from benchmarks.databases import Database
    from benchmarks.servers import Server

HIT = (Target("≥", 0.40, NGINX), Target("≥", 1.0, WEBDIS))
COLD = (Target("≥", 0.12, NGINX),)

HITS = f"{GUIDKEEP}, hit"
FIRST = f"{GUIDKEEP}, first read"
BARE = f"{GUIDKEEP}, no cache"

TARGETS: dict[str, Sequence[Target]] = {HITS: HIT, FIRST: COLD, BARE: COLD}


def run(bench: Bench) -> Outcome:
    """Measures all contestants in turn."""
    database, larger = filled(bench, bench.plan.records), filled(bench, bench.plan.more_records)
    with ExitStack() as stack:

        def serve(which: Database, *flags: str) -> Server:
            return stack.enter_context(guidkeep(bench, which.copy(bench.folder).file, *flags))

        hits = serve(database)
        turns: dict[str, Callable[[], float]] = {
            HITS: lambda: read_hits(bench, hits, database.guids).rate,
            FIRST: _FirstReads(bench, serve(larger), larger),
            BARE: _random(bench, serve(database, "--cache", "none://"), database),
        }
        if bench.has("nginx"):
            _, answer = hits.get(f"/guid/{database.guids.first(1)[0]}")
            turns[NGINX] = _random(bench, stack.enter_context(nginx(bench, answer)), database)
        if bench.has("webdis", "redis-server"):
            turns[WEBDIS] = _random(bench, _webdis(bench, stack, hits, database), database)
        return _outcome(bench, bench.rounds(turns))


class _FirstReads:
    """Continues after the last measurement, so that no record is read twice."""

    def __init__(self, bench: Bench, server: Server, database: Database) -> None:
        self._bench = bench
        self._server = server
        self._database = database
        self._first = 0

    def __call__(self) -> float:
        load = read_once(self._bench, self._server, self._database.guids, first=self._first)
        self._first += load.requests + CONNECTIONS  # requests in progress at the end
        return load.rate


def _random(bench: Bench, server: Server, database: Database) -> Callable[[], float]:
    return lambda: read_random(bench, server, database.guids).rate


def _webdis(bench: Bench, stack: ExitStack, like: Server, database: Database) -> Server:
    """Webdis + Redis with the same keys, and responses of the same length as Guidkeep's."""
    server, redis = stack.enter_context(webdis(bench, durable=False))
    fill_redis(redis, responses(bench, like, database))
    return server


def _outcome(bench: Bench, found: dict[str, list[float]]) -> Outcome:
    others = {name: found.get(name) for name in (NGINX, WEBDIS)}
    compared = {
        name: ratios(values, {other: others[other] for other in others if other != name})
        for name, values in found.items()
    }
    compared[NGINX] = {}
    what = {
        HITS: f"GET hit, {bench.plan.records:,} records in the memory cache",
        FIRST: f"GET cold, each of {bench.plan.more_records:,} records for the first time",
        BARE: f"GET cold, {bench.plan.records:,} records, `--cache none://`",
        NGINX: "nginx, a constant as long",
        WEBDIS: "Webdis + Redis, GET of the same keys",
    }
    rows = [
        Row(
            what=what[name],
            figure=Figure(values, "/s"),
            ratios=compared[name],
            targets=TARGETS.get(name, ()),
        )
        for name, values in found.items()
    ]
    return Outcome(
        rows,
        reads={name: Figure(values).value for name, values in found.items()},
        shares={
            name: figures[NGINX].value for name, figures in compared.items() if NGINX in figures
        },
    )
