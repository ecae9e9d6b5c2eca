"""No cache: every read goes to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from guidkeep.caches import CacheCounts, Lease, parameters_of, require_no_more

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.caches import CacheOptions
    from guidkeep.record import Record


class NoCache:
    """A cache that is always empty and never gives a lease to fill it."""

    renew_after: float | None = None
    takes_unread = False

    def __init__(self) -> None:
        self.counts = CacheCounts()

    @classmethod
    def open(cls, url: str, _: CacheOptions) -> Self:
        """Returns the cache that `none://` names.

        Raises:
            StartupError: the URL has a host, a path or parameters.
        """
        require_no_more(url, parameters_of(url))
        return cls()

    def hit(self, guid: str, now: float) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Returns None: there is no entry."""
        return None

    def peek(self, guid: str, now: float, tell: Callable[[bytes | None], None]) -> bool:  # noqa: ARG002 - the protocol's
        """Returns False: there is no other machine to ask."""
        return False

    async def get(self, guid: str, now: float) -> Record | Lease | None:  # noqa: ARG002 - the protocol's
        """Returns None: a miss, without the right to fill."""
        self.counts.misses += 1
        return None

    async def fill(self, lease: Lease, record: Record | None, now: float) -> None:
        """Is never called: no reader gets a lease."""

    async def lease(self, guid: str) -> Lease:
        """Returns a lease that has no effect."""
        return Lease(guid, 0)

    async def settle(self, lease: Lease, record: Record | None, now: float) -> None:
        """Does nothing."""

    def doubt(self) -> None:
        """Does nothing: there is no entry."""

    async def ping(self) -> None:
        """Does nothing: there is no server."""

    async def close(self) -> None:
        """Does nothing: there is nothing to close."""
