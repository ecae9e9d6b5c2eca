"""Caches: leases, so that a hit is never stale.

A cache in front of a store goes wrong in known ways: a slow reader puts an old value back
after a write; a value survives its deletion. Leases close them (Nishtala et al., "Scaling
Memcache at Facebook", NSDI 2013), with writers that lease too. A GUID's key holds

    the entry, or nothing;  at most one reader's lease;
    the standing writers' leases, and which of those came last.

*A reader* gets the entry, or a lease when there is no entry, no other reader's lease and no
writer's. It reads the store, then fills, which works only while its lease stands.

*A writer* reads the current record, then leases (which drops the entry and revokes the
reader's lease), then compares and sets in the store, then settles, then answers. Settling
takes back its own lease and only that, and puts the new record in if it wrote one and no
writer leased after it. If its own lease is gone it drops entry and reader's lease, for
nobody can say what happened in between.

*Absence is never cached.* It has no version, so an insert that began before a deletion can
succeed after it; a cached absence would then be wrong.

`now` is Unix time in seconds, a parameter here as everywhere below the registry.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import parse_qsl

from guidkeep.caches import entries
from guidkeep.errors import StartupError
from guidkeep.urls import Backend, backend_of, listed, redacted, split

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
        "memory:open_memory",
        (f"memory://?max_size={DEFAULT_MAX_SIZE}",),
        is_shared=False,
    ),
    Backend(
        "redis",
        "redis.cache:open_redis",
        ("redis://", "rediss://", "redis+cluster://", "rediss+cluster://"),
        extra="redis",
    ),
    Backend("none", "none:open_none", ("none://",)),
)
"""The caches: one table. Whoever adds one writes a row here."""


class CacheRefuses(OSError):
    """The cache answers, and refuses: the password, user or database in its URL is wrong."""


class Lease(NamedTuple):
    """A right to fill, or a writer's announcement; known by its token."""

    guid: str
    token: int


@dataclass(slots=True)
class CacheCounts:
    """What a cache counts: hits, misses and evictions since the start, the others as they stand.

    A cache on another machine leaves entries and bytes at 0. `unsettled` are GUIDs that are yet
    to be dropped there, `unreachable` its servers that are not asked at the moment.
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
    for field in fields(CacheCounts):
        metrics.watch(f"guidkeep_cache_{field.name}", partial(getattr, cache.counts, field.name))


class Form(Protocol):
    """How entries are rendered, ready to be served. A cache only keeps what comes of it."""

    def render(self, entry: Entry) -> bytes:
        """The entry in that form."""
        ...

    def parse(self, rendered: bytes) -> Record:
        """The record of what `render` made."""
        ...


class Cache(Protocol):
    """See the module's text. Each call is one atomic step on one GUID's key."""

    counts: CacheCounts
    renew_after: float | None
    """Seconds after which a lease that has to stand on is taken anew, well before it times out;
    None: it does not time out."""
    takes_unread: bool
    """Whether a record that is created under a random GUID is put in at once, before anybody has
    asked for it. Not where that costs more than the first read from the store."""

    def hit(self, guid: str, now: float) -> bytes | None:
        """The rendered entry, if this process has it at hand; None says nothing.

        The one call that never waits: a connection serves a hit with it before a task is made.
        """
        ...

    def peek(self, guid: str, now: float, tell: Callable[[bytes | None], None]) -> bool:
        """Asks another machine for the rendered entry, without a task that waits for it.

        `tell` is called with it later, once and never before this returns; or with None, which
        says nothing. False: there is nobody to ask now, and `tell` is not called. It changes
        nothing in the cache and takes no lease, so whoever asked may go away. A hit is counted;
        whatever else comes back leads to `get`, which counts it.
        """
        ...

    async def get(self, guid: str, now: float) -> Record | Lease | None:
        """A reader's: the entry; or a miss with the right to fill; or a miss without it."""
        ...

    async def fill(self, lease: Lease, record: Record | None, now: float) -> None:
        """A reader's: puts `record` in unless the lease was revoked; None just gives it back."""
        ...

    async def lease(self, guid: str) -> Lease:
        """A writer's: drops the entry and revokes the reader's lease."""
        ...

    async def settle(self, lease: Lease, record: Record | None, now: float) -> None:
        """A writer's: gives the lease back; `record` is what it wrote, None: nothing, or gone."""
        ...

    def doubt(self) -> None:
        """The clock by which `now` is said has jumped: forgets what it has by ages in it."""
        ...

    async def ping(self) -> None:
        """Raises if the cache can't be reached."""
        ...

    async def close(self) -> None:
        """Lets go of what it holds."""
        ...


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """What a cache is opened with, beside its URL.

    Attributes:
        max_age: seconds that an entry lives at most.
        timeout: seconds that a read waits for a cache on another machine; then it goes without.
        patience: seconds that a write does. Going without, it leaves what other nodes believe.
        lease_time: seconds after which a lease in such a cache is taken to be forgotten; longer
            than any write to the store can take.
        metrics: what such a cache counts goes there.
        form: renders the entries that `Cache.hit` and `Cache.peek` return.
    """

    max_age: float
    timeout: float = DEFAULT_TIMEOUT
    patience: float = DEFAULT_PATIENCE
    lease_time: float = DEFAULT_LEASE_TIME
    metrics: Metrics | None = None
    form: Form = entries


def open_cache(url: str, **options: Any) -> Cache:
    """The cache that `url` names.

    Args:
        url: begins as a row of `BACKENDS` says; each backend's file tells what its URL may say.
        options: see `CacheOptions`.

    Raises:
        StartupError: no such cache, or a wrong parameter.
    """
    backend = backend_of(url, BACKENDS)
    if backend is None:
        raise StartupError(
            f"No cache is named by {redacted(url)!r}; there are {listed(BACKENDS, 'and')}."
        )
    made: Callable[[str, CacheOptions], Cache] = backend.imported(__name__)
    return made(url, CacheOptions(**options))


def parameters_of(url: str) -> dict[str, str]:
    """The parameters in the URL of a cache."""
    return dict(parse_qsl(split(url).query))


def require_no_more(url: str, parameters: Mapping[str, str]) -> None:
    """Raises StartupError if the URL of a cache in this process says more than it may.

    Args:
        url: of the cache; may name no host and no path.
        parameters: those that are left when the known ones are taken out.
    """
    for name in parameters:
        raise StartupError(f"The cache URL {redacted(url)!r} has an unknown parameter: {name}.")
    parts = split(url)
    if parts.netloc or parts.path:
        raise StartupError(
            f"The cache {parts.scheme}:// is in this process: its URL names no host and no path."
        )
