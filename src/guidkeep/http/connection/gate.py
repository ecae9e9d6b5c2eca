"""Limits connections: in all and of each client, with a few more places for health checks.

A connection beyond the limits is a *guest*. There are a few places for guests. A guest's first
request is read. A health check is served, since an orchestrator without a response would end a
healthy process. Any other request is refused with 429, and the connection closes. When all places
are taken, the oldest guest is disconnected: so clients that connect and send nothing hold a place
only until others come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Protocol

    class Guest(Protocol):
        """A connection beyond the limits."""

        def leave(self) -> bool:
            """Ends the connection, unless its request is being served; returns whether it ends."""
            ...


GUESTS = 64
"""Places for guests."""


class Gate:
    """Counts connections.

    Args:
        most: the most connections in all.
        most_per_client: the most of one client; 0 for no limit.
        count_refusal: called with the reason for each connection beyond a limit, also one that is
            then served because it asks for health: `connections`, `client`, or `guests` for a
            guest that had to leave for another.
    """

    def __init__(
        self, most: int, most_per_client: int, count_refusal: Callable[[str], None]
    ) -> None:
        self._most = most
        self._most_per_client = most_per_client
        self._count_refusal = count_refusal
        self._clients: dict[Hashable, int] = {}
        self._open = 0
        self._guests: dict[Guest, None] = {}

    def admit(self, client: Hashable) -> bool:
        """Counts a connection from that client. Returns False beyond a limit: it is a guest."""
        if self._open >= self._most:
            self._count_refusal("connections")
            return False
        if self._most_per_client:
            count = self._clients.get(client, 0)
            if count >= self._most_per_client:
                self._count_refusal("client")
                return False
            self._clients[client] = count + 1
        self._open += 1
        return True

    def let_go(self, client: Hashable) -> None:
        """Called when an admitted connection is closed."""
        self._open -= 1
        if self._most_per_client:
            count = self._clients[client] - 1
            if count:
                self._clients[client] = count
            else:
                del self._clients[client]

    def seat(self, guest: Guest) -> bool:
        """Gives a guest a place. Returns False if no other guest can leave for it."""
        if len(self._guests) >= GUESTS:
            for other in self._guests:
                if other.leave():
                    self._count_refusal("guests")
                    del self._guests[other]
                    break
            else:
                return False
        self._guests[guest] = None
        return True

    def unseat(self, guest: Guest) -> None:
        """Frees the place of a guest, if it has one."""
        self._guests.pop(guest, None)
