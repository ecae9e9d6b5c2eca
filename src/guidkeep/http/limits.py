"""The limits that all requests of a server share, and what each request takes of them.

A request has its `Place` from the moment in which all of it has arrived, or, if it is read or
answered piece by piece, from its head on. Before that nobody works on it, and it keeps nobody out:
see `guidkeep.http.connection.reading`.
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

STREAM_COST = 1 << 20
"""Bytes that are taken for a request that is read or answered piece by piece."""
SHARE = 4
"""So many clients it takes to have all places for such requests."""


@dataclass(slots=True)
class Limits:
    """What all resources of a server share.

    Attributes:
        metrics: where requests are counted.
        memory: the budget of bytes.
        max_pending: requests worked on at once at most.
        max_streams: requests read or answered piece by piece at once, at most.
        max_streams_per_client: the same, of one client.
        max_body: bytes of a body that is taken whole, at most.
        hosts: the hosts that the server answers to.
        cross_site: what pages of other sites may do.
        access_log: whether every request is logged.
        pending: requests worked on at this moment.
        streams: requests read or answered piece by piece at this moment, by client.
    """

    metrics: Metrics
    memory: Memory
    max_pending: int
    max_streams: int
    max_streams_per_client: int
    max_body: int
    hosts: Hosts
    cross_site: CrossSitePolicy
    access_log: bool = False
    pending: int = 0
    streams: Counter[Hashable] = field(default_factory=Counter)

    def require_room(self) -> None:
        """Raises TooManyRequests if no request more can be worked on."""
        if self.pending >= self.max_pending:
            raise TooManyRequests(
                f"{self.max_pending} requests are being worked on, which is as many as "
                "this server takes on; nothing was done. Try again in a moment."
            )

    def require_stream(self, client: Hashable) -> None:
        """Raises TooManyRequests if no request of that client more can be one piece by piece."""
        for count, most, whose in (
            (self.streams.total(), self.max_streams, "this server takes on"),
            (self.streams[client], self.max_streams_per_client, "one client may have"),
        ):
            if count >= most:
                raise TooManyRequests(
                    f"{most} requests to /bulk and /export are being worked on, which is as many "
                    f"as {whose}; nothing was done. Try again in a moment."
                )

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Takes that many bytes of the budget as long as it lasts.

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
    """What one request has taken, until it leaves."""

    __slots__ = ("_bytes", "_client", "_is_pending", "_is_stream", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0
        self._is_pending = self._is_stream = False
        self._client: Hashable = None

    def enter(self, size: int) -> None:
        """The whole request is there, with a body of that many bytes.

        Raises:
            TooManyRequests: there is no room for it.
        """
        self._limits.require_room()
        self.take(REQUEST_COST + BODY_COST * size)
        self._limits.pending += 1
        self._is_pending = True

    def enter_stream(self, client: Hashable) -> None:
        """A request of that client will be read, or answered, piece by piece.

        Raises:
            TooManyRequests: there is no room for it.
        """
        self._limits.require_stream(client)
        self.take(STREAM_COST)
        self._limits.streams[client] += 1
        self._is_stream, self._client = True, client

    def take(self, size: int) -> None:
        """Takes that many bytes more.

        Raises:
            TooManyRequests: there are none.
        """
        self._limits.take(size)
        self._bytes += size

    def done(self) -> None:
        """Nobody works on it any more; what it has taken stays taken."""
        self._limits.pending -= self._is_pending
        self._is_pending = False

    def leave(self) -> None:
        """Gives everything back; the last that is done with it."""
        self._limits.pending -= self._is_pending
        if self._is_stream:
            streams = self._limits.streams
            streams[self._client] -= 1
            if not streams[self._client]:
                del streams[self._client]
        self.give_back()

    def give_back(self) -> None:
        """Gives back the bytes: nothing is left of the request but its response."""
        self._limits.memory.give(self._bytes)
        self._bytes = 0
