"""`GET /stats`: the numbers of live and expiring records, and the state of the service.

The counts are those of the census (see `guidkeep.registry.census`). The other numbers are those of
the metrics, added up over all workers. `GET /stats/service` returns these alone, so that a client
can ask for them every few seconds: they start no count and wait for none.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from guidkeep.http.responses import json_response
from guidkeep.metrics import SECONDS, sums
from guidkeep.urls import scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from guidkeep.http.handlers import Parts
    from guidkeep.http.requests import Request
    from guidkeep.http.responses import Response
    from guidkeep.metrics import Gathered
    from guidkeep.registry.census import Forecast

EPOCH = date(1970, 1, 1)


class Stats:
    """The handlers of the statistics. Of the cache's URL they show only the scheme."""

    def __init__(self, parts: Parts) -> None:
        self._registry = parts.registry
        self._gather = parts.gather
        cache = parts.settings.cache
        self._cache = f"{scheme_of(cache)}://"
        self._counts_entries = cache.startswith(("memory:", "none:"))

    async def get(self, _: Request) -> Response:
        """`GET /stats`."""
        counted = await self._registry.forecast()
        content = {
            "as_of": str(counted.as_of),
            "live": counted.live,
            "forecast": list(_forecast(counted)),
            "later": counted.later,
            **self._state(await self._gather()),
        }
        return json_response(content)

    async def service(self, _: Request) -> Response:
        """`GET /stats/service`."""
        return json_response(self._state(await self._gather()))

    def _state(self, gathered: Gathered) -> dict[str, Any]:
        """Returns the members that need no count of records."""

        def total(name: str) -> int:
            return int(sums(gathered, name)[()][0])

        entries, size = None, None
        if self._counts_entries:
            entries, size = total("guidkeep_cache_entries"), total("guidkeep_cache_bytes")
        requests = sums(gathered, "guidkeep_request_seconds")
        return {
            "cache": {
                "url": self._cache,
                "hits": total("guidkeep_cache_hits"),
                "misses": total("guidkeep_cache_misses"),
                "entries": entries,
                "bytes": size,
            },
            "reclaimed": total("guidkeep_swept_records"),
            "requests": {"bounds": SECONDS, "kinds": [_kind(*one) for one in requests.items()]},
        }


def _forecast(counted: Forecast) -> Iterator[dict[str, Any]]:
    for day, records in enumerate(counted.days, counted.first_day):
        yield {"date": str(EPOCH + timedelta(days=day)), "expire": records}


def _kind(labels: tuple[str, ...], numbers: Sequence[float]) -> dict[str, Any]:
    """Returns the requests of one route, method and status: number, total time, histogram."""
    route, method, status = labels
    seconds, *counts = numbers
    return {
        "route": route,
        "method": method,
        "status": int(status),
        "count": sum(counts),
        "seconds": seconds,
        "counts": counts,
    }
