"""The cache of one process: a dictionary in least-recently-used order, bounded in bytes.

Entries are kept rendered, in a form that the cache does not look into. The lease protocol is that
of `guidkeep.caches`, with one difference: leases have no timeout. A timeout is for holders that
died on another machine. Here holder and cache die together, and a write in doubt keeps its lease
until the outcome is known.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import count
from sys import getsizeof
from typing import TYPE_CHECKING, Self

from guidkeep.caches import (
    DEFAULT_MAX_SIZE,
    CacheCounts,
    Lease,
    entries,
    parameters_of,
    require_no_more,
)
from guidkeep.caches.entries import entry_of
from guidkeep.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.caches import CacheOptions, Form
    from guidkeep.record import Record

ENTRY_OVERHEAD = 290
"""Bytes of an entry beside its rendering: key, pair, time, and its share of the ordered dictionary.

This is measured: `python -m benchmarks --only memory` fills a cache with a million records and
compares its count of bytes with the growth of the process.
"""


@dataclass(slots=True)
class _Standing:
    """The standing leases of one key."""

    reader: int | None = None
    writers: set[int] = field(default_factory=set)
    last_writer: int = 0


class MemoryCache:
    """A cache in this process; see the module's text.

    Args:
        max_size: maximum bytes of all entries, their overhead included.
        max_age: maximum seconds that an entry lives.
        form: renders entries, and parses them.
    """

    renew_after: float | None = None
    takes_unread = True

    def __init__(self, *, max_size: int, max_age: float, form: Form = entries) -> None:
        self.counts = CacheCounts()
        self._form = form
        self._max_size = max_size
        self._max_age = max_age
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()  # until, rendered
        self._standing: dict[str, _Standing] = {}
        self._tokens = count(1)

    @classmethod
    def open(cls, url: str, options: CacheOptions) -> Self:
        """Returns the cache that `memory://?max_size=SIZE` names.

        Raises:
            StartupError: a parameter is wrong.
        """
        parameters = parameters_of(url)
        max_size = parse_size(parameters.pop("max_size", DEFAULT_MAX_SIZE))
        require_no_more(url, parameters)
        return cls(max_size=max_size, max_age=options.max_age, form=options.form)

    def hit(self, guid: str, now: float) -> bytes | None:
        """Returns the rendered entry if it is there and live at `now`."""
        entry = self._entries.get(guid)
        if entry is None or now >= entry[0]:
            return None
        self._entries.move_to_end(guid)
        self.counts.hits += 1
        return entry[1]

    def peek(self, guid: str, now: float, tell: Callable[[bytes | None], None]) -> bool:  # noqa: ARG002 - the protocol's
        """Returns False: there is no other machine to ask."""
        return False

    async def get(self, guid: str, now: float) -> Record | Lease | None:
        """Returns the entry's record, or a lease to fill, or None: no right to fill."""
        rendered = self.hit(guid, now)
        if rendered is not None:
            return self._form.parse(rendered)
        self.counts.misses += 1
        self._drop(guid)
        if guid in self._standing:
            return None
        lease = Lease(guid, next(self._tokens))
        self._standing[guid] = _Standing(reader=lease.token)
        return lease

    async def fill(self, lease: Lease, record: Record | None, now: float) -> None:
        """Puts `record` in unless the lease was revoked; None gives it back only."""
        standing = self._standing.get(lease.guid)
        if standing is None or standing.reader != lease.token:
            return
        del self._standing[lease.guid]  # no writer's lease stands beside a reader's
        if record is not None:
            self._put(record, now)

    async def lease(self, guid: str) -> Lease:
        """Drops the entry and revokes the reader's lease. The lease stands until it is settled."""
        self._drop(guid)
        lease = Lease(guid, next(self._tokens))
        standing = self._standing.setdefault(guid, _Standing())
        standing.reader = None
        standing.writers.add(lease.token)
        standing.last_writer = lease.token
        return lease

    async def settle(self, lease: Lease, record: Record | None, now: float) -> None:
        """Gives the lease back, and puts the record in if no writer leased after this one."""
        standing = self._standing.get(lease.guid)
        if standing is None or lease.token not in standing.writers:
            self._lost(lease.guid)
            return
        standing.writers.remove(lease.token)
        if not standing.writers:
            del self._standing[lease.guid]
        if record is not None and standing.last_writer == lease.token:
            self._put(record, now)

    def doubt(self) -> None:
        """Drops all entries, because their age is unknown. Leases have no age, so they stand."""
        self._entries.clear()
        self.counts.entries = self.counts.bytes = 0

    async def ping(self) -> None:
        """Does nothing: this cache can always be reached."""

    async def close(self) -> None:
        """Drops entries and leases."""
        self.flush()

    def flush(self) -> None:
        """Drops entries and leases. The leases' holders will find them gone."""
        self._entries.clear()
        self._standing.clear()
        self.counts.entries = self.counts.bytes = 0

    def _lost(self, guid: str) -> None:
        """Drops entry and reader's lease: the writer's lease was gone before it settled."""
        self._drop(guid)
        standing = self._standing.get(guid)
        if standing is not None and standing.reader is not None:
            del self._standing[guid]

    def _put(self, record: Record, now: float) -> None:
        self._drop(record.guid)
        until = min(record.expire, now + self._max_age)
        rendered = self._form.render(entry_of(record))
        if until <= now or _cost(rendered) > self._max_size:
            return
        self._entries[record.guid] = (until, rendered)
        self.counts.entries += 1
        self.counts.bytes += _cost(rendered)
        while self.counts.bytes > self._max_size:
            _, (_, oldest) = self._entries.popitem(last=False)
            self.counts.evictions += 1
            self._forget(oldest)

    def _drop(self, guid: str) -> None:
        entry = self._entries.pop(guid, None)
        if entry is not None:
            self._forget(entry[1])

    def _forget(self, rendered: bytes) -> None:
        self.counts.entries -= 1
        self.counts.bytes -= _cost(rendered)


def _cost(rendered: bytes) -> int:
    return getsizeof(rendered) + ENTRY_OVERHEAD
