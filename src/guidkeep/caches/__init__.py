"""Caches: leases, so that a hit is never stale.

A cache in front of a store goes wrong in known ways: a slow reader puts an old value back
after a write; a value survives its deletion. Leases prevent both (Nishtala et al., "Scaling
Memcache at Facebook", NSDI 2013); here writers take leases too. A GUID's key holds

    the entry, or nothing;  at most one reader's lease;
    the standing writers' leases, and which of those came last.

*A reader* gets the entry, or a lease when there is no entry, no other reader's lease and no
writer's. It reads the store, then fills, which works only while its lease stands.

*A writer* reads the current record, then leases (which drops the entry and revokes the
reader's lease), then compares and sets in the store, then settles, then responds. Settling
gives back the writer's own lease and no other. It puts the new record in if the writer wrote
one and no writer leased after it. If the writer's own lease is gone, settling drops the entry
and the reader's lease, because other writes may have happened in between.

*Absence is never cached.* It has no version, so an insert that began before a deletion can
succeed after it; a cached absence would then be wrong.

`now` is Unix time in seconds, a parameter here as everywhere below the registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import parse_qsl

from guidkeep.backends import Backend, listed, opener_of
from guidkeep.caches import entries
from guidkeep.errors import StartupError
from guidkeep.urls import redacted, split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from guidkeep.caches.entries import Entry
    from guidkeep.metrics import Metrics
    from guidkeep.record import Record

DEFAULT_URL = "memory://"
DEFAULT_MAX_SIZE = "256MiB"
DEFAULT_TIMEOUT = 0.05
DEFAULT_PATIENCE = 1.0
DEFAULT_LEASE_TIME = 15.0

BACKENDS = (
    Backend(
        "memory",
        "memory:MemoryCache",
        (f"memory://?max_size={DEFAULT_MAX_SIZE}",),
        is_shared=False,
    ),
    Backend(
        "redis",
        "redis.cache:RedisCache",
        ("redis://", "rediss://", "redis+cluster://", "rediss+cluster://"),
        extra="redis",
    ),
    Backend("none", "none:NoCache", ("none://",)),
)
"""The table of caches. To add a cache, add a row."""


class CacheRefuses(OSError):
    """The cache responds and refuses: the password, user or database in its URL is wrong."""


class Lease(NamedTuple):
    """A reader's right to fill, or a writer's announcement, identified by its token."""

    guid: str
    token: int


@dataclass(slots=True)
class CacheCounts:
    """The counts of a cache: hits, misses and evictions since the start, and present totals.

    A cache on another machine leaves `entries` and `bytes` at 0. `unsettled` is the number of
    GUIDs that still have to be dropped there, `unreachable` the number of its servers that are not
    asked at present.
    """

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    entries: int = 0
    bytes: int = 0
    unsettled: int = 0
    unreachable: int = 0


def watch_cache(cache: Cache, metrics: Metrics) -> None:
    """Shows what the cache counts among the metrics."""
    counts = cache.counts
    metrics.watch("guidkeep_cache_hits", lambda: counts.hits)
    metrics.watch("guidkeep_cache_misses", lambda: counts.misses)
    metrics.watch("guidkeep_cache_evictions", lambda: counts.evictions)
    metrics.watch("guidkeep_cache_entries", lambda: counts.entries)
    metrics.watch("guidkeep_cache_bytes", lambda: counts.bytes)
    metrics.watch("guidkeep_cache_unsettled", lambda: counts.unsettled)
    metrics.watch("guidkeep_cache_unreachable", lambda: counts.unreachable)


class Form(Protocol):
    """How entries are rendered, ready to be served. Caches do not look into rendered entries."""

    def render(self, entry: Entry) -> bytes:
        """Returns the rendered entry."""
        ...

    def parse(self, rendered: bytes) -> Record:
        """Returns the record of an entry that `render` made."""
        ...


class Cache(Protocol):
    """See the module's text. Each call is one atomic step on one GUID's key."""

    counts: CacheCounts
    renew_after: float | None
    """Seconds after which a lease that is still needed is taken anew, well before its timeout;
    None: leases have no timeout."""
    takes_unread: bool
    """Whether to put in a record that is created under a random GUID at once, before any request
    has read it. False where that costs more than the first read from the store."""

    def hit(self, guid: str, now: float) -> bytes | None:
        """Returns the rendered entry if this process has it, else None: unknown.

        The only call that never waits: a connection serves a hit with it without making a task.
        """
        ...

    def peek(self, guid: str, now: float, tell: Callable[[bytes | None], None]) -> bool:
        """Asks another machine for the rendered entry, without a task that waits for it.

        `tell` is called exactly once, after this call has returned, with the entry or with
        None: unknown. Returns False if there is no server to ask now; then `tell` is not called.
        The call changes nothing in the cache and takes no lease, so the caller may go away. It
        counts a hit. Any other result leads to `get`, which counts it.
        """
        ...

    async def get(self, guid: str, now: float) -> Record | Lease | None:
        """For readers: returns the entry's record, or a lease to fill, or None: no right to fill.

        The last two are misses.
        """
        ...

    async def fill(self, lease: Lease, record: Record | None, now: float) -> None:
        """For readers: puts `record` in unless the lease was revoked; None gives it back only."""
        ...

    async def lease(self, guid: str) -> Lease:
        """For writers: drops the entry and revokes the reader's lease."""
        ...

    async def settle(self, lease: Lease, record: Record | None, now: float) -> None:
        """For writers: gives the lease back.

        `record` is the record that was written; None: nothing was written, or it was deleted.
        """
        ...

    def doubt(self) -> None:
        """The clock behind `now` has jumped: drops everything whose age it measured."""
        ...

    async def ping(self) -> None:
        """Raises OSError if the cache can't be reached."""
        ...

    async def close(self) -> None:
        """Closes connections and drops the entries."""
        ...


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """The options of a cache, beside its URL.

    Attributes:
        max_age: maximum seconds that an entry lives.
        timeout: seconds that a read waits for a cache on another machine; then it asks the store.
        patience: seconds that a write waits for such a cache. Then it goes on without, and other
            nodes may keep their former entries.
        lease_time: the timeout of a lease in such a cache, in seconds; longer than any write to
            the store can take.
        metrics: takes the counts of such a cache.
        form: renders the entries that `Cache.hit` and `Cache.peek` return.
    """

    max_age: float
    timeout: float = DEFAULT_TIMEOUT
    patience: float = DEFAULT_PATIENCE
    lease_time: float = DEFAULT_LEASE_TIME
    metrics: Metrics | None = None
    form: Form = entries


class Openable(Protocol):
    """The class of a cache, which opens it.

    One more attribute has a default. `is_shared` says that several processes can use the cache at
    once, False by default; a row of `BACKENDS` says it instead, so that no driver is imported.
    """

    @classmethod
    def open(cls, url: str, options: CacheOptions) -> Cache:
        """See `open_cache`. The cache's server need not be up yet."""
        ...


def open_cache(url: str, options: CacheOptions) -> Cache:
    """Returns the cache that `url` names.

    Args:
        url: a URL with a scheme of `BACKENDS`, or of an installed package's entry point in the
            group `guidkeep.caches`; see the cache's module for its parameters.
        options: all that the URL does not say.

    Raises:
        StartupError: there is no such cache, or a parameter is wrong.
    """
    found: Openable | None = opener_of(url, BACKENDS, __name__)
    if found is None:
        raise StartupError(
            f"No cache is named by {redacted(url)!r}; there are {listed(BACKENDS, 'and')}."
        )
    return found.open(url, options)


def parameters_of(url: str) -> dict[str, str]:
    """Returns the parameters in the URL of a cache."""
    return dict(parse_qsl(split(url).query))


def require_no_more(url: str, parameters: Mapping[str, str]) -> None:
    """Raises StartupError if the URL of a cache in this process has unknown parts.

    Args:
        url: the cache's URL; it must have no host and no path.
        parameters: the parameters that are left after the known ones are taken out.
    """
    for name in parameters:
        raise StartupError(f"The cache URL {redacted(url)!r} has an unknown parameter: {name}.")
    parts = split(url)
    if parts.netloc or parts.path:
        raise StartupError(
            f"The cache {parts.scheme}:// is in this process: its URL names no host and no path."
        )
