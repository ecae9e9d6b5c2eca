"""`GET /stats`: what there is and when it will expire, and how the service fares, for people.

The counts are those of the census (see there). The other figures are those of `/metrics`, added up
over all workers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from guidkeep.http.responses import json_response
from guidkeep.metrics import SECONDS
from guidkeep.urls import scheme_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from guidkeep.http.requests import Request
    from guidkeep.http.responses import Response
    from guidkeep.registry.census import Forecast
    from guidkeep.registry.registry import Registry

EPOCH = date(1970, 1, 1)

_SAMPLE = re.compile(
    r"^guidkeep_((?:cache_|swept_|request_seconds)\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE
)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
"""None that is read here ever has anything to unescape: see `guidkeep.metrics`."""


class Stats:
    """Answers with them.

    Args:
        registry: counts the records.
        figures: what `/metrics` answers.
        cache: the URL of the cache; its kind alone is shown.
    """

    def __init__(
        self, registry: Registry, figures: Callable[[], Awaitable[bytes]], *, cache: str
    ) -> None:
        self._registry = registry
        self._figures = figures
        self._cache = f"{scheme_of(cache)}://"
        self._counts_entries = cache.startswith(("memory:", "none:"))

    async def answer(self, _: Request) -> Response:
        """`GET /stats`."""
        counted = await self._registry.forecast()
        told = {
            "as_of": str(counted.as_of),
            "live": counted.live,
            "forecast": list(_forecast(counted)),
            "later": counted.later,
            **self._told((await self._figures()).decode()),
        }
        return json_response(told)

    def _told(self, text: str) -> dict[str, Any]:
        sums: dict[str, float] = defaultdict(float)
        kinds: dict[tuple[str, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for name, told, value in _SAMPLE.findall(text):
            labels = dict(_LABEL.findall(told))
            if "route" in labels:
                kind = tuple(labels[label] for label in ("route", "method", "status"))
                kinds[kind][labels.get("le", name)] += float(value)
            else:
                sums[name] += float(value)
        kept = {name: int(sums[f"cache_{name}"]) for name in ("entries", "bytes")}
        return {
            "cache": {
                "url": self._cache,
                "hits": int(sums["cache_hits_total"]),
                "misses": int(sums["cache_misses_total"]),
                **(kept if self._counts_entries else dict.fromkeys(kept)),
            },
            "reclaimed": int(sums["swept_records_total"]),
            "requests": {"bounds": SECONDS, "kinds": [_kind(*one) for one in kinds.items()]},
        }


def _forecast(counted: Forecast) -> Iterator[dict[str, Any]]:
    for day, records in enumerate(counted.days, counted.first_day):
        yield {"date": str(EPOCH + timedelta(days=day)), "expire": records}


def _kind(kind: tuple[str, ...], values: dict[str, float]) -> dict[str, Any]:
    """Requests of one route, method and status: how many, how long in all, how many by bucket."""
    route, method, status = kind
    up_to = [0, *(int(values[bound]) for bound in (*map(str, SECONDS), "+Inf"))]
    return {
        "route": route,
        "method": method,
        "status": int(status),
        "count": int(values["request_seconds_count"]),
        "seconds": values["request_seconds_sum"],
        "counts": [upper - lower for lower, upper in pairwise(up_to)],
    }
