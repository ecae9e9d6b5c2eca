"""The routes, in one table.

A new route is a row here, its handler, and its path in `openapi.json`. Routing, `Allow`, the
metrics' labels, `/openapi.json` and the tests follow from the rows.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from guidkeep.http import console, docs
from guidkeep.http.bulk import Bulk
from guidkeep.http.export import Export
from guidkeep.http.records import Records
from guidkeep.http.requests import RECORD_ROUTE
from guidkeep.http.service import Service
from guidkeep.http.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from guidkeep.http.requests import Request
    from guidkeep.http.responses import Response
    from guidkeep.http.streams import StreamedResponse

    Bound = Callable[[Request], Awaitable[Response | StreamedResponse]]
    Unbound = Callable[[Any, Request], Awaitable[Response | StreamedResponse]]


class Cost(Enum):
    """What a request to a route may cost, and so which limit it counts for."""

    NOTHING = "answered however much else there is to do"
    WHOLE = "handled when its whole body is there; one of --max-pending"
    STREAMED = "read or answered piece by piece; one of --max-streams"


class Route(NamedTuple):
    """A row of the table.

    Attributes:
        path: as `/openapi.json` has it. One segment in braces may stand in it, after the first.
        methods: the handler of each method; that of GET is HEAD's too.
        owner: the class whose object the handlers are bound to; None: they need none.
        cost: see there.
        is_health: whether it is answered whatever the Host, and to connections beyond the limits:
            an orchestrator without a response would end a healthy process.
        also: other paths of the same route.
        label: the value of `route` in the metrics; None: the path.
        is_documented: whether `/openapi.json` has it.
    """

    path: str
    methods: Mapping[str, Unbound | Bound]
    owner: type | None = None
    cost: Cost = Cost.WHOLE
    is_health: bool = False
    also: Sequence[str] = ()
    label: str | None = None
    is_documented: bool = True


_ROUTES = (
    Route(
        "/guid",
        {"GET": Records.list, "POST": Records.create},
        Records,
        also=("/guid/",),
    ),
    Route(
        RECORD_ROUTE,
        {
            "GET": Records.read,
            "POST": Records.create_or_update,
            "PUT": Records.replace,
            "PATCH": Records.update,
            "DELETE": Records.delete,
        },
        Records,
    ),
    Route("/bulk", {"POST": Bulk.post}, Bulk, cost=Cost.STREAMED),
    Route("/export", {"GET": Export.get}, Export, cost=Cost.STREAMED),
    Route("/stats", {"GET": Stats.get}, Stats),
    Route("/livez", {"GET": Service.livez}, Service, cost=Cost.NOTHING, is_health=True),
    Route("/readyz", {"GET": Service.readyz}, Service, cost=Cost.NOTHING, is_health=True),
    Route("/metrics", {"GET": Service.metrics}, Service, cost=Cost.NOTHING),
    Route("/openapi.json", {"GET": Service.openapi}, Service),
    Route("*", {"OPTIONS": Service.options}, Service, is_documented=False),
)

HEALTH = frozenset(route.path for route in _ROUTES if route.is_health)
"""The paths of the service's health."""


@cache
def routes() -> tuple[Route, ...]:
    """All routes, those of the files for browsers included, which are read now."""
    return (*_ROUTES, *_files(docs.pages()), *_files(console.pages(), label=console.ROUTE))


def methods() -> set[str]:
    """Every method that a route knows."""
    known = {method for route in routes() for method in route.methods}
    return known | {"HEAD"}


def _files(pages: Mapping[str, Bound], label: str | None = None) -> list[Route]:
    """Of each page's files only the page itself is documented."""
    return [
        Route(path, {"GET": page}, label=label, is_documented=path.count("/") == 1)
        for path, page in pages.items()
    ]
