"""The limits that all requests of a server share, and the share of each request.

A request takes its `Place` when it has arrived completely, or, if it is streamed, after its head.
Before that it is not processed and blocks no other request: see
`guidkeep.http.connection.reading`.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guidkeep.errors import TooManyRequests
from guidkeep.settings import BODY_COST, REQUEST_COST

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from guidkeep.http.cross_site import CrossSitePolicy
    from guidkeep.http.hosts import Hosts
    from guidkeep.http.memory import Memory
    from guidkeep.metrics import Metrics
    from guidkeep.settings import Settings

STREAM_COST = 1 << 20
"""Bytes that a streamed request takes."""
SHARE = 4
"""One client may have at most this fraction of the streams, if clients are counted: one in
`SHARE`."""


@dataclass(slots=True)
class Limits:
    """The limits that all resources of a server share.

    Attributes:
        settings: the operator's limits.
        metrics: the metrics in which requests are counted.
        memory: the budget of bytes.
        hosts: the hosts that the server accepts.
        cross_site: the policy for pages of other sites.
        pending: the number of requests in progress.
        streams: the numbers of streamed requests in progress, by client.
    """

    settings: Settings
    metrics: Metrics
    memory: Memory
    hosts: Hosts
    cross_site: CrossSitePolicy
    pending: int = 0
    streams: Counter[Hashable] = field(default_factory=Counter)

    def require_room(self) -> None:
        """Raises TooManyRequests if the limit for requests is reached."""
        if self.pending >= self.settings.max_pending:
            raise TooManyRequests(
                f"{self.settings.max_pending} requests are being worked on, the most that "
                "this server takes on; nothing was done. Try again in a moment."
            )

    def require_stream(self, client: Hashable) -> None:
        """Raises TooManyRequests if a limit for streamed requests is reached."""
        most_in_all = self.settings.max_streams
        counts_clients = self.settings.max_connections_per_client
        most_per_client = max(1, most_in_all // SHARE) if counts_clients else most_in_all
        for count, most, whose in (
            (self.streams.total(), most_in_all, "this server takes on"),
            (self.streams[client], most_per_client, "one client may have"),
        ):
            if count >= most:
                raise TooManyRequests(
                    f"{most} requests to /bulk and /export are being worked on, the most that "
                    f"{whose}; nothing was done. Try again in a moment."
                )

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Takes that many bytes of the budget during the `with` block.

        Raises:
            TooManyRequests: there are none.
        """
        self.take(size)
        try:
            yield
        finally:
            self.memory.give(size)

    def take(self, size: int) -> None:
        """Takes that many bytes of the budget; raises TooManyRequests if there are none."""
        if not self.memory.take(size):
            raise TooManyRequests(
                "The memory for requests is used up (--max-memory); nothing was done. "
                "Try again in a moment."
            )


class Place:
    """The share of the limits that one request has taken."""

    __slots__ = ("_bytes", "_client", "_is_pending", "_is_stream", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0
        self._is_pending = self._is_stream = False
        self._client: Hashable = None

    def enter(self, size: int) -> None:
        """Takes the place of a complete request with a body of that many bytes.

        Raises:
            TooManyRequests: there is no room for it.
        """
        self._limits.require_room()
        self.take(REQUEST_COST + BODY_COST * size)
        self._limits.pending += 1
        self._is_pending = True

    def enter_stream(self, client: Hashable) -> None:
        """Takes the place of a streamed request of that client.

        Raises:
            TooManyRequests: there is no room for it.
        """
        self._limits.require_stream(client)
        self.take(STREAM_COST)
        self._limits.streams[client] += 1
        self._is_stream, self._client = True, client

    def take(self, size: int) -> None:
        """Takes that many more bytes.

        Raises:
            TooManyRequests: there are none.
        """
        self._limits.take(size)
        self._bytes += size

    def done(self) -> None:
        """Ends the request's processing; its bytes stay taken."""
        self._limits.pending -= self._is_pending
        self._is_pending = False

    def leave(self) -> None:
        """Gives everything back, at the end of the request."""
        self._limits.pending -= self._is_pending
        if self._is_stream:
            streams = self._limits.streams
            streams[self._client] -= 1
            if not streams[self._client]:
                del streams[self._client]
        self.give_back()

    def give_back(self) -> None:
        """Gives back the bytes: only the response is left of the request."""
        self._limits.memory.give(self._bytes)
        self._bytes = 0
