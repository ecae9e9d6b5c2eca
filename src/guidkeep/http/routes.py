"""The routes, in one table.

A new route is a row here, its handler in `handlers/`, and its path in `openapi.json`. The objects
of the handlers, routing, `Allow` and the metrics' labels follow from the rows, and so do the tests
of these. A test fails until `openapi.json` has the paths and methods of the rows; the statuses of
each operation are written down once more in `tests/http/test_documents.py`.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from guidkeep.http import console, docs
from guidkeep.http.handlers.bulk import Bulk
from guidkeep.http.handlers.export import Export
from guidkeep.http.handlers.records import Records
from guidkeep.http.handlers.service import Service
from guidkeep.http.handlers.stats import Stats
from guidkeep.http.requests import RECORD_ROUTE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from guidkeep.http.handlers import Parts
    from guidkeep.http.requests import Request
    from guidkeep.http.responses import Response
    from guidkeep.http.streams import StreamedResponse

    Bound = Callable[[Request], Awaitable[Response | StreamedResponse]]
    Unbound = Callable[[Any, Request], Awaitable[Response | StreamedResponse]]


class Cost(Enum):
    """The cost of a request to a route, and so the limit that it counts for."""

    NOTHING = "served under any load"
    WHOLE = "handled when its body is complete; one of --max-pending"
    STREAMED = "read or answered in pieces; one of --max-streams"


class Route(NamedTuple):
    """A row of the table.

    Attributes:
        path: as in `/openapi.json`. Its second segment may be variable, in braces.
        methods: the handler of each method; that of GET is HEAD's too.
        owner: the class whose object the handlers are bound to; None if they need none. There is
            one object of each class, made from the server's parts.
        cost: see there.
        is_health: whether it is served for any Host, and to connections beyond the limits: an
            orchestrator without a response would end a healthy process.
        may_be_linked: whether a link on a page of another site may be followed. Not if one click
            would make the store read all records.
        also: other paths of the same route.
        label: the value of `route` in the metrics; None for the path.
        is_documented: whether `/openapi.json` has it.
    """

    path: str
    methods: Mapping[str, Unbound | Bound]
    owner: Callable[[Parts], object] | None = None
    cost: Cost = Cost.WHOLE
    is_health: bool = False
    may_be_linked: bool = True
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
    Route("/export", {"GET": Export.get}, Export, cost=Cost.STREAMED, may_be_linked=False),
    Route("/stats", {"GET": Stats.get}, Stats),
    Route("/stats/service", {"GET": Stats.service}, Stats, cost=Cost.NOTHING),
    Route("/livez", {"GET": Service.livez}, Service, cost=Cost.NOTHING, is_health=True),
    Route("/readyz", {"GET": Service.readyz}, Service, cost=Cost.NOTHING, is_health=True),
    Route("/metrics", {"GET": Service.metrics}, Service, cost=Cost.NOTHING),
    Route("/openapi.json", {"GET": Service.openapi}, Service),
    Route("*", {"OPTIONS": Service.options}, Service, is_documented=False),
)

HEALTH = frozenset(route.path for route in _ROUTES if route.is_health)
"""The paths of health checks."""


@cache
def routes() -> tuple[Route, ...]:
    """Returns all routes, including those of the files for browsers, which are read here."""
    return (*_ROUTES, *_files(docs.pages()), *_files(console.pages(), label=console.ROUTE))


def methods() -> set[str]:
    """Returns every method of any route."""
    known = {method for route in routes() for method in route.methods}
    return known | {"HEAD"}


def _files(pages: Mapping[str, Bound], label: str | None = None) -> list[Route]:
    """Returns the routes of a page's files; only the page itself is documented."""
    return [
        Route(path, {"GET": page}, label=label, is_documented=path.count("/") == 1)
        for path, page in pages.items()
    ]
