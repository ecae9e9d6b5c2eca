"""Durable creates, by the number of clients, beside Webdis + Redis with `appendfsync always`."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmarks.load import Load, create, set_keys
from benchmarks.results import GUIDKEEP, WEBDIS, Figure, Outcome, Row, Target, ratio, ratios
from benchmarks.servers import guidkeep, webdis

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench

CLIENTS = (1, 16, 64, 256)
CREATE = (Target("≥", 0.6, WEBDIS),)
RISES = (Target("≥", 1.0),)

Contestant = tuple[str, int]
"""The server and its number of connections."""


def run(bench: Bench) -> Outcome:
    """Measures both in turn with each number of connections."""
    with ExitStack() as stack:
        database = bench.subfolder("writes") / "guidkeep.db"
        server = stack.enter_context(guidkeep(bench, database))
        contestants: dict[Contestant, Callable[[], Load]] = {
            (GUIDKEEP, clients): partial(create, bench, server, connections=clients)
            for clients in CLIENTS
        }
        if bench.has("webdis", "redis-server"):
            other, _ = stack.enter_context(webdis(bench, durable=True))
            for clients in CLIENTS:
                contestants[WEBDIS, clients] = partial(set_keys, bench, other, connections=clients)
        found = bench.rounds({each: _rate(load) for each, load in contestants.items()})
    rows = [_row(contestant, found) for contestant in found]
    return Outcome([*rows, _steps(found)], creates=_series(found))


def _rate(load: Callable[[], Load]) -> Callable[[], float]:
    return lambda: load().rate


def _row(contestant: Contestant, found: dict[Contestant, list[float]]) -> Row:
    name, clients = contestant
    ours = name == GUIDKEEP
    what = "Durable create" if ours else f"{WEBDIS}, SET, `appendfsync always`"
    return Row(
        what=f"{what}, {clients} connection{'s' * (clients > 1)}",
        figure=Figure(found[contestant], "/s"),
        ratios=ratios(found[contestant], {WEBDIS: found.get((WEBDIS, clients))}) if ours else {},
        targets=CREATE if ours and clients == 64 else (),  # noqa: PLR2004 - the one with a target
    )


def _steps(found: dict[Contestant, list[float]]) -> Row:
    """The least ratio of two steps from 16 connections on; below 1 the rate has fallen."""
    steps = [
        ratio(found[GUIDKEEP, more], found[GUIDKEEP, fewer])
        for fewer, more in pairwise(CLIENTS[1:])
    ]
    least = min((step for step in steps if step), key=lambda step: step.value)
    return Row(
        what="Durable create, least step from 16 to 64 to 256 connections",
        figure=least,
        targets=RISES,
    )


def _series(found: dict[Contestant, list[float]]) -> dict[str, dict[int, float]]:
    series: dict[str, dict[int, float]] = {}
    for (name, clients), values in found.items():
        series.setdefault(name, {})[clients] = Figure(values).value
    return series
