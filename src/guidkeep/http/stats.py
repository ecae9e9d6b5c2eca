"""`GET /stats`: what there is and when it will expire, and how the service fares, for people.

The counts are those of the census (see there). The other figures are those of `/metrics`, added up
over all workers.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from guidkeep.addresses import redacted
from guidkeep.http.problems import Answer
from guidkeep.metrics import SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from prometheus_client.samples import Sample

    from guidkeep.census import Forecast
    from guidkeep.http.requests import Request
    from guidkeep.registry import Registry

EPOCH = date(1970, 1, 1)
JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


class Stats:
    """Answers with them.

    Args:
        registry: counts the records.
        figures: what `/metrics` answers.
        cache: the URL of the cache; its password is not shown.
    """

    def __init__(
        self, registry: Registry, figures: Callable[[], Awaitable[bytes]], *, cache: str
    ) -> None:
        self._registry = registry
        self._figures = figures
        self._cache = redacted(cache)
        self._counts_entries = cache.startswith(("memory:", "none:"))

    async def answer(self, _: Request) -> Answer:
        """`GET /stats`."""
        counted = await self._registry.forecast()
        told = {
            "as_of": str(counted.as_of),
            "live": counted.live,
            "forecast": list(_forecast(counted)),
            "later": counted.later,
            **self._told((await self._figures()).decode()),
        }
        return Answer(200, JSON, json.dumps(told).encode())

    def _told(self, text: str) -> dict[str, Any]:
        sums: dict[str, int] = defaultdict(int)
        requests: list[Sample] = []
        for family in text_string_to_metric_families(text):
            if family.name == "guidkeep_request_seconds":
                requests += family.samples
            elif family.name.startswith(("guidkeep_cache_", "guidkeep_swept_")):
                for sample in family.samples:
                    sums[sample.name] += int(sample.value)
        kept = {name: sums[f"guidkeep_cache_{name}"] for name in ("entries", "bytes")}
        return {
            "cache": {
                "url": self._cache,
                "hits": sums["guidkeep_cache_hits_total"],
                "misses": sums["guidkeep_cache_misses_total"],
                **(kept if self._counts_entries else dict.fromkeys(kept)),
            },
            "reclaimed": sums["guidkeep_swept_records_total"],
            "requests": {"bounds": SECONDS, "kinds": list(_kinds(requests))},
        }


def _forecast(counted: Forecast) -> Iterator[dict[str, Any]]:
    for day, records in enumerate(counted.days, counted.first_day):
        yield {"date": str(EPOCH + timedelta(days=day)), "expire": records}


def _kinds(samples: list[Sample]) -> Iterator[dict[str, Any]]:
    """Requests by route, method and status: how many, how long in all, how many in each bucket."""
    columns = [*map(str, SECONDS), "+Inf"]
    found: dict[tuple[str, str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for sample in samples:
        kind = tuple(sample.labels[name] for name in ("route", "method", "status"))
        found[kind][sample.labels.get("le", sample.name.rpartition("_")[2])] += sample.value  # type: ignore[index]  # it has three
    for (route, method, status), values in found.items():
        up_to = [0, *(int(values[column]) for column in columns)]
        yield {
            "route": route,
            "method": method,
            "status": int(status),
            "count": int(values["count"]),
            "seconds": values["sum"],
            "counts": [upper - lower for lower, upper in pairwise(up_to)],
        }
