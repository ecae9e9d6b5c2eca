"""The state that all connections of a server share."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import structlog

from guidkeep.http.connection.gate import Gate
from guidkeep.http.memory import Memory
from guidkeep.http.requests import NO_ROUTE, RECORD_ROUTE
from guidkeep.http.responses import JSON, REVALIDATED, lines_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from guidkeep.http.cross_site import CrossSitePolicy
    from guidkeep.http.hosts import Hosts
    from guidkeep.metrics import Metrics, Tally
    from guidkeep.settings import Settings

log = structlog.get_logger(__name__)

REFUSED = "guidkeep_refused_connections"

OTHER_DESCRIPTORS = 256
"""Open files that are not clients' connections: the store's, the cache's, and a margin."""
FEW_DESCRIPTORS = 32
"""When fewer descriptors are left, new connections are closed."""
LOG_AGAIN = 60.0
"""Seconds between two log events about that."""


@dataclass(slots=True)
class ConnectionContext:
    """The state that all connections of a server share.

    Attributes:
        settings: the limits.
        hit: returns the rendered response of a GUID, if the cache has it in this process; None if
            every request goes to the application.
        metrics: counts hits, and requests that never reach the application.
        hosts: the hosts that the server accepts.
        cross_site: the policy for pages of other sites.
        health: the paths that are also open to connections beyond the limits.
        peek: asks a cache on another machine, see `Cache.peek`; None if there is none.
        draining: whether the server is about to stop.
        memory: the budget of bytes for all requests.
        gate: decides who may connect.
    """

    settings: Settings
    hit: Callable[[str], bytes | None] | None
    metrics: Metrics
    hosts: Hosts
    cross_site: CrossSitePolicy
    health: frozenset[str]
    peek: Callable[[str, Callable[[bytes | None], None]], bool] | None = None
    draining: bool = False
    memory: Memory = field(init=False)
    gate: Gate = field(init=False)
    hits: Tally = field(init=False)
    _descriptors: int = field(init=False)
    _logged_at: float = field(default=-LOG_AGAIN, init=False)
    _headers: object = field(default=None, init=False)
    _own_lines: bytes = field(default=b"", init=False)
    _preamble: bytes = field(default=b"", init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.hits = self.metrics.tally("guidkeep_request_seconds", RECORD_ROUTE, "GET", 200)
        self.memory = Memory(settings.max_memory)
        self._descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.gate = Gate(
            min(settings.max_connections, connections_within(self._descriptors)),
            settings.max_connections_per_client,
            partial(self.metrics.count, REFUSED),
        )

    def descriptors_are_short(self, transport: asyncio.Transport) -> bool:
        """Returns whether a new connection has taken one of the last descriptors.

        The event loop gives no error when there are none: it closes a connection that it can't
        accept. But the system always assigns the lowest free number.
        """
        if transport.get_extra_info("socket").fileno() < self._descriptors - FEW_DESCRIPTORS:
            return False
        self.metrics.count(REFUSED, "descriptors")
        now = perf_counter()
        if now - self._logged_at >= LOG_AGAIN:
            self._logged_at = now
            log.error(
                "descriptors are running out",
                limit=self._descriptors,
                detail="New connections are closed. Raise the limit of open files (ulimit -n, "
                "LimitNOFILE), or lower --max-connections.",
            )
        return True

    def count_refusal(self, status: int) -> None:
        """Counts bytes that were too broken, slow or large to become a request."""
        self.metrics.tally("guidkeep_request_seconds", NO_ROUTE, "other", status).observe(0)

    def preamble(self, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """Returns the status line and the headers of all hits."""
        if default_headers is not self._headers:
            self._renew(default_headers)
        return self._preamble

    def own_lines(self, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """Returns the server's headers as lines for sending."""
        if default_headers is not self._headers:
            self._renew(default_headers)
        return self._own_lines

    def _renew(self, default_headers: list[tuple[bytes, bytes]]) -> None:
        """Makes the lines again when the date has changed, once a second."""
        self._headers = default_headers
        self._own_lines = lines_of(default_headers)
        of_hits = lines_of([*JSON, *REVALIDATED.headers, *self.cross_site.common])
        self._preamble = b"HTTP/1.1 200 OK\r\n" + self._own_lines + of_hits


def connections_within(descriptors: int) -> int:
    """Returns how many clients may connect if the process may have that many open files."""
    return max(1, descriptors - OTHER_DESCRIPTORS)
