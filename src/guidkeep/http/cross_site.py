"""Pages of other sites: their permissions, and the headers with which browsers enforce them.

A browser sends the origin of a request: in `Sec-Fetch-Site`, on a secure connection or to
`localhost`, and in `Origin`, with a write or with a read by a script. No page can forge either
(Fetch, and W3C's Fetch Metadata). Other clients send neither, and this module does not affect them.

Reads and writes of other sites' pages are *refused* before anything is looked up, so that the
response does not depend on stored records. Following a link is let through: the page with the link
does not see the response.

The origins that the operator lists are *allowed*. Their pages get the CORS headers, and their
preflights are served like any other request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.errors import CrossSiteRefused
from guidkeep.http.responses import Response
from guidkeep.record import shortened
from guidkeep.wire.origins import normal_origin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guidkeep.http.requests import Request

READS = frozenset({"GET", "HEAD", "OPTIONS"})
"""The safe methods (RFC 9110 §9.2.1), without TRACE, which no route has."""
OWN = (b"same-origin", b"none")
"""Values of `Sec-Fetch-Site` for the service's own pages, and for an address typed by the user."""

_PREFLIGHT = [
    (
        b"access-control-allow-headers",
        b"Accept, Authorization, Content-Type, If-Match, If-None-Match, X-Request-ID",
    ),
    (b"access-control-max-age", b"600"),
]
_PRIVATE_NETWORK = (b"access-control-allow-private-network", b"true")
_EXPOSED = (
    b"access-control-expose-headers",
    b"ETag, Link, Location, Retry-After, Sunset, X-Request-ID",
)
VARY = (b"vary", b"Origin")


class CrossSitePolicy:
    """The policy in the module's text; `allowed` are the operator's origins, normalised."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset(allowed)
        self.common = [VARY] if self._allowed else []
        """The headers of every response, for any origin."""

    def require(self, request: Request, *, may_be_linked: bool) -> None:
        """Lets the request pass unless a page of another site sent it.

        Args:
            request: the request.
            may_be_linked: whether a link to this route may be followed; a column of the table of
                routes.

        Raises:
            CrossSiteRefused: a page of another site sent it.
        """
        headers = request.headers
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
        if (site is None and origin is None) or site in OWN or self._allows(origin):
            return
        if request.method in READS:
            if (
                site is None
                or site == b"same-site"
                or (may_be_linked and _is_followed_link(request))
            ):
                return
            does = "read"
        else:
            if site is None and _names(origin, headers.get(b"host")):
                return
            does = "write"
        page = shortened(origin.decode("latin-1")) if origin else "another site"
        raise CrossSiteRefused(
            f"A page of {page} may not {does} here, unless the operator allows its origin "
            "(--allow-origin)."
        )

    def preflight_method(self, request: Request) -> str | None:
        """Returns the method of a preflight for a page of an allowed origin; None otherwise."""
        wanted = request.headers.get(b"access-control-request-method")
        if wanted is None or request.method != "OPTIONS":
            return None
        return wanted.decode("latin-1") if self._allows(request.headers.get(b"origin")) else None

    async def preflight(self, request: Request, methods: Iterable[str]) -> Response:
        """Responds with everything that such a page may do; the browser compares."""
        allowed = (b"access-control-allow-methods", ", ".join(sorted(methods)).encode())
        wants = request.headers.get(b"access-control-request-private-network")
        private = [_PRIVATE_NETWORK] if wants == b"true" else []
        return Response(204, [allowed, *_PREFLIGHT, *private])

    def cors_headers(self, request: Request) -> list[tuple[bytes, bytes]]:
        """Returns the headers that let a page of an allowed origin see the response."""
        origin = request.headers.get(b"origin")
        if origin is None or not self._allows(origin):
            return self.common
        return [VARY, (b"access-control-allow-origin", origin), _EXPOSED]

    def _allows(self, origin: bytes | None) -> bool:
        if origin is None or not self._allowed:
            return False
        try:
            return normal_origin(origin.decode("ascii")) in self._allowed
        except ValueError:
            return False


def _is_followed_link(request: Request) -> bool:
    return (
        request.method == "GET"
        and request.headers.get(b"sec-fetch-mode") == b"navigate"
        and request.headers.get(b"sec-fetch-dest") == b"document"
    )


def _names(origin: bytes | None, host: bytes | None) -> bool:
    """Returns whether the origin is the host's own, for browsers that send only `Origin`."""
    if not origin or not host:
        return False
    return origin.partition(b"://")[2].lower() == host.lower()
