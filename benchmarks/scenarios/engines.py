"""Durable creates on MariaDB and PostgreSQL, beside the service that the specification suggests.

All use the same MariaDB, each with a database of its own, and the same Redis. A commit is on disk
before it is acknowledged, the default of both databases; Redis, a cache here, keeps nothing on
disk.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.load import CONNECTIONS, create
from benchmarks.results import REFERENCE, Figure, Outcome, Row, Target, ratios
from benchmarks.servers import mariadb, node, postgres, redis, reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

TARGETS = (Target("≥", 5.0, REFERENCE),)

THROUGH_REDIS = "redis://"
IN_MEMORY = "memory://"

Contestant = tuple[str, str]
"""The database and the cache."""


def run(bench: Bench) -> Outcome:
    """Measures all contestants in turn."""
    with ExitStack() as stack:
        contestants = _contestants(bench, stack, stack.enter_context(redis(bench)).url)
        found = bench.rounds({each: _rate(bench, one) for each, one in contestants.items()})
    return Outcome([_row(contestant, found) for contestant in found])


def _contestants(bench: Bench, stack: ExitStack, redis_url: str) -> dict[Contestant, Server]:
    """The contestants whose database is installed; each has its own database number of Redis."""
    contestants: dict[Contestant, Server] = {}
    caches = (f"{redis_url}/{number}" for number in range(1, 16))

    def serve(name: str, store: Callable[[], str]) -> None:
        for kind, cache in ((THROUGH_REDIS, next(caches)), (IN_MEMORY, IN_MEMORY)):
            server = node(bench, store(), "--cache", cache)
            contestants[name, kind] = stack.enter_context(server)

    if bench.has("mariadbd"):
        engine = stack.enter_context(mariadb(bench))
        serve("MariaDB", engine.fresh)
        suggested = reference(bench, engine.fresh(), next(caches))
        contestants[REFERENCE, THROUGH_REDIS] = stack.enter_context(suggested)
    if bench.has("postgres"):
        serve("PostgreSQL", stack.enter_context(postgres(bench)).fresh)
    return contestants


def _rate(bench: Bench, server: Server) -> Callable[[], float]:
    created = partial(create, bench, server)
    return lambda: created().rate


def _row(contestant: Contestant, found: dict[Contestant, list[float]]) -> Row:
    name, cache = contestant
    figure = Figure(found[contestant], "/s")
    if name == REFERENCE:
        return Row(what=f"{REFERENCE}, create, {CONNECTIONS} connections", figure=figure)
    return Row(
        what=f"Durable create on {name}, `--cache {cache}`, {CONNECTIONS} connections",
        figure=figure,
        ratios=ratios(found[contestant], {REFERENCE: found.get((REFERENCE, THROUGH_REDIS))}),
        targets=TARGETS if cache == THROUGH_REDIS else (),
    )
