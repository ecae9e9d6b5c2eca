"""No cache: every read asks the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.caches import CacheCounts, Lease, parameters_of, require_no_more

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.caches import CacheOptions
    from guidkeep.record import Record


class NoCache:
    """A cache that is always empty and never lets anybody fill it."""

    renew_after: float | None = None
    takes_unread = False

    def __init__(self) -> None:
        self.counts = CacheCounts()

    def hit(self, guid: str, now: float) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Nothing."""
        return None

    def peek(self, guid: str, now: float, tell: Callable[[bytes | None], None]) -> bool:  # noqa: ARG002 - the protocol's
        """There is nobody to ask."""
        return False

    async def get(self, guid: str, now: float) -> Record | Lease | None:  # noqa: ARG002 - the protocol's
        """A miss, without the right to fill."""
        self.counts.misses += 1
        return None

    async def fill(self, lease: Lease, record: Record | None, now: float) -> None:
        """Never called: nobody got a lease."""

    async def lease(self, guid: str) -> Lease:
        """A lease that means nothing."""
        return Lease(guid, 0)

    async def settle(self, lease: Lease, record: Record | None, now: float) -> None:
        """Does nothing."""

    def doubt(self) -> None:
        """Believes nothing anyhow."""

    async def ping(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Holds nothing."""


def open_none(url: str, _: CacheOptions) -> NoCache:
    """The cache that `none://` names.

    Raises:
        StartupError: the URL says more.
    """
    require_no_more(url, parameters_of(url))
    return NoCache()
