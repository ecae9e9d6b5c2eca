"""The cache of many nodes: leases and entries in one Redis, or in a Redis Cluster.

The protocol is that of `guidkeep.caches`; each of its steps is a script on one key, in one round
trip (`guidkeep.caches.redis.scripts`). This text explains how it stays correct when Redis or the
network fails. No call raises because of such a failure: without the cache a read asks the store,
and a write goes on.

*A flush.* A Redis that lost everything, or one key, or was restarted, or is a promoted replica, is
a cache that was flushed. The protocol of `guidkeep.caches` allows a flush at any time, and the
generations in `guidkeep.caches.redis.scripts` ensure that no part survives.

*A call with an unknown outcome* may have happened, or may happen later: it waits in a buffer, and
Redis runs it when it wakes up. So a late call must do no harm. A late *get* takes a reader's lease
that no reader uses and that times out. A late *fill* works only while its lease stands, hence only
if no writer has leased and no drop (below) came since its reader began. A late *lease* keeps
readers from filling until it times out, no more. A late *settle* puts its record in only if its
lease stands and no lease or drop came after it.

*A writer whose lease is not known to stand* goes on, because the store alone decides. It settles
with a drop. A drop is stronger than a settle whose lease is gone: it overtakes all writers whose
leases stand, as if it had leased and given back at once. So no settle of another writer that is
still under way puts a record into the cache after it.

*A writer that could not settle* leaves an entry that others may believe: one that was filled
before, or that a reader which began before fills later. Its node remembers the GUID and responds to
the client. It does not ask the cache about that GUID before a drop there has succeeded, and
repeats the drop until it has. The drop undoes everything that Redis did before it, late calls
included; a lease that Redis gives after the drop belongs to a reader that reads the store after
the write. The node must remember the GUID, and not merely repeat the drop, because its own clients
have had the response to the write. The other nodes depend on the drop. Until then, or if the node
dies first, they may read the former value, for `max_age` at most after it was filled: the promise.

*The node forgets in time.* A former entry was filled by a reader, or a writer, whose lease stood
when the write was settled; the lease times out within `lease_time`, and an entry lives for
`max_age`. After the sum of both, no former entry is left (`guidkeep.caches.redis.unsettled`, which
also covers the case of too many GUIDs to remember).

*The limits.* The timeouts of leases go by Redis' clock. If it is set forward by more than
`lease_time` while a write is under way, a reader may fill with the former record. The writer's
settle then finds its lease gone, and drops. Two servers may both act as the master for some seconds
(one is cut off and does not know it yet). They serve nodes that are cut off from each other, and
entries of one of them may be out of date for up to `max_age`. And a server that becomes a replica
and the master again within `SILENCE` (`guidkeep.caches.redis.connection`), unnoticed by a node,
may show it an entry from before.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
import time
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Self

import structlog

from guidkeep.caches import CacheCounts, Lease, entries
from guidkeep.caches.redis.breaker import PROBES
from guidkeep.caches.redis.connection import Late, ReplyError, Unavailable
from guidkeep.caches.redis.server import Options
from guidkeep.caches.redis.servers import Cluster, Servers, Single
from guidkeep.caches.redis.unsettled import LIMIT, Unsettled
from guidkeep.caches.redis.url import RedisAddress
from guidkeep.metrics import Metrics
from guidkeep.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from guidkeep.caches import CacheOptions, Form
    from guidkeep.caches.entries import Entry
    from guidkeep.caches.redis.server import Word
    from guidkeep.record import Record

log = structlog.get_logger(__name__)

ANOTHER_FILLS: Final = 2
"""The reply to `get` if another reader has the right to fill."""
WAITS: Final = tuple(map(Backoff(first=0.001, longest=0.032, spread=0.0).seconds, range(6)))
"""Seconds between looks for an entry that another reader fills; after the last the store is asked.
"""
BATCH: Final = 512
"""Unsettled GUIDs to drop in one batch."""
REPLAY_PAUSE: Final = 1.0
"""Seconds from one attempt to drop the unsettled GUIDs to the next."""


class RedisCache:
    """See the module's text.

    Args:
        address: the address of Redis.
        max_age: seconds that an entry lives at most.
        timeout: seconds that a read waits for Redis.
        patience: seconds that a write waits for it.
        lease_time: seconds that a lease lasts at most.
        metrics: receives the cache's metrics.
        clock: a monotonic clock, in seconds.
        pauses: maps the number of failed probes of a server to the seconds until the next one.
        waits: seconds between looks for an entry that another reader is about to fill.
        limit: the number of unsettled GUIDs to remember at most.
        form: renders entries for hits.
    """

    takes_unread = False

    def __init__(
        self,
        address: RedisAddress,
        *,
        max_age: float,
        timeout: float,
        patience: float,
        lease_time: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        pauses: Callable[[int], float] = PROBES.seconds,
        waits: Iterable[float] = WAITS,
        limit: int = LIMIT,
        form: Form = entries,
    ) -> None:
        self.counts = CacheCounts()
        self.renew_after: float | None = lease_time / 3
        self._form = form
        self._max_age = max_age
        self._waits = waits
        self._prefix = address.prefix.encode()
        self._tokens = count(secrets.randbits(64) << 40 | 1)  # unique among nodes and restarts
        self._unsettled = Unsettled(lasting=max_age + lease_time, clock=clock, limit=limit)
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._back: list[str] = []
        self._closed = False
        options = Options(
            user=address.user,
            password=address.password,
            database=address.database,
            tls=address.tls,
            probe=self._prefix + b"probe",
            timeout=timeout,
            patience=patience,
            lease_time=lease_time,
            pauses=pauses,
            observe=metrics.observe_batch("cache"),
            count_failure=partial(metrics.count, "guidkeep_cache_failures"),
        )
        self._servers: Servers = (
            Cluster(address.shown, address.seeds, options, self)
            if address.is_cluster
            else Single(*address.seeds[0], options, self)
        )

    @classmethod
    def open(cls, url: str, options: CacheOptions) -> Self:
        """Opens the cache in the Redis at `url`; see `RedisAddress`. Redis need not be up yet.

        Raises:
            StartupError: the URL or a parameter is wrong; the message gives the reason.
        """
        return cls(
            RedisAddress.parse(url),
            max_age=options.max_age,
            timeout=options.timeout,
            patience=options.patience,
            lease_time=options.lease_time,
            metrics=options.metrics or Metrics(),
            form=options.form,
        )

    # The protocol.

    def hit(self, guid: str, now: float) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Returns None: no entry is in this process."""
        return None

    def peek(self, guid: str, now: float, tell: Callable[[bytes | None], None]) -> bool:
        """Asks Redis for the rendered entry, without waiting; see `Cache.peek`."""
        if guid in self._unsettled:
            return False

        def take(reply: Any) -> None:
            entry = self._believed(guid, reply, now)
            if entry is None:
                tell(None)
                return
            self.counts.hits += 1
            tell(self._form.render(entry))

        return self._servers.peek(self._key(guid), now, take)

    async def get(self, guid: str, now: float) -> Record | Lease | None:
        """Returns the entry; or a miss with the right to fill; or a miss without it.

        If a reader on another node is about to fill, it waits for that entry, but not for long. So
        many readers on several nodes make one read of the store.
        """
        if guid in self._unsettled:
            self.counts.misses += 1
            return None
        token = next(self._tokens)
        key = self._key(guid)
        try:
            reply = await self._servers.ask("get", key, now, token)
            for pause in self._waits:
                if reply != ANOTHER_FILLS:
                    break
                await asyncio.sleep(pause)
                reply = await self._servers.ask("get", key, now, token)
        except asyncio.CancelledError:
            self._spawn(self.fill(Lease(guid, token), None, now))  # no reader is left to use it
            raise
        if self._believed(guid, reply, now) is not None:
            self.counts.hits += 1
            return entries.parse(reply)
        if isinstance(reply, Late):
            self._spawn(self.fill(Lease(guid, token), None, now))  # Redis may still give it
        self.counts.misses += 1
        return Lease(guid, token) if reply == 1 else None

    async def fill(self, lease: Lease, record: Record | None, now: float) -> None:
        """Puts `record` in unless the lease was revoked; None only gives the lease back."""
        entry = None if lease.guid in self._unsettled else self._entry(record, now)
        reply = await self._with_entry("fill", "unread", lease, entry)
        if entry is not None and isinstance(reply, Unavailable):
            self._spawn(self.fill(lease, None, now))

    async def lease(self, guid: str) -> Lease:
        """Drops the entry and revokes the reader's lease.

        The token is negative when the lease is not known to stand.
        """
        token = next(self._tokens)
        try:
            stands = await self._servers.ask("lease", self._key(guid), token) == 1
        except asyncio.CancelledError:
            self._spawn(self.settle(Lease(guid, -token), None, 0))  # no writer is left to use it
            raise
        if stands:
            return Lease(guid, token)
        self._remember(guid)
        return Lease(guid, -token)

    async def settle(self, lease: Lease, record: Record | None, now: float) -> None:
        """Gives the lease back, and puts the record in if no writer leased after this one."""
        settled = False
        try:
            if lease.token < 0:
                settled = await self._drop(lease.guid, -lease.token)
            else:
                entry = self._entry(record, now)
                reply = await self._with_entry("settle", "release", lease, entry)
                settled = not isinstance(reply, Exception)
        finally:
            if not settled:  # the outcome of a cancelled one is unknown
                self._remember(lease.guid)

    def doubt(self) -> None:
        """Does nothing: the age of an entry goes by Redis' own clock."""

    async def ping(self) -> None:
        """Raises OSError if Redis, or any master of the cluster, is unreachable."""
        await self._servers.ping()

    async def close(self) -> None:
        """Closes the connections."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        await self._servers.close()

    # Calls.

    def _key(self, guid: str) -> bytes:
        return self._prefix + guid.encode()

    def _is_usable(self, guid: str) -> bool:
        """Whether the server of that GUID can be asked now."""
        return self._servers.usable(self._key(guid))

    async def _with_entry(
        self, script: str, without: str, lease: Lease, entry: tuple[Word, ...] | None
    ) -> Any:
        """Runs `script`; or `without`, if there is no entry or Redis has no room for it."""
        key = self._key(lease.guid)
        if entry is not None:
            reply = await self._servers.ask(script, key, lease.token, *entry)
            if not (isinstance(reply, ReplyError) and str(reply).startswith("OOM")):
                return reply
        return await self._servers.ask(without, key, lease.token)

    def _entry(self, record: Record | None, now: float) -> tuple[Word, ...] | None:
        """Returns an entry as arguments of the scripts."""
        if record is None:
            return None
        until = min(record.expire, now + self._max_age)
        if until <= now:
            return None
        return until, math.ceil((until - now) * 1000), entries.render(entries.entry_of(record))

    def _believed(self, guid: str, reply: Any, now: float) -> Entry | None:
        """Returns the entry in the reply; None: the reply has none, or one that is not valid.

        Another program wrote an entry that is not valid: it is dropped, to make way for another.
        """
        if not isinstance(reply, bytes):
            return None
        entry = entries.checked(guid, reply, now)
        if entry is None:
            log.warning("cache entry refused", guid=guid)
            self._spawn(self._discard(guid))
        return entry

    async def _discard(self, guid: str) -> None:
        await self._drop(guid, 0)

    # Unsettled GUIDs.

    async def replay(self) -> int:
        """Drops the unsettled GUIDs whose server can be asked; returns their number."""
        self._unsettled.expire()
        self.counts.unsettled = len(self._unsettled)
        dropped = 0
        pending = self._unsettled.pending()
        for at in range(0, len(pending), BATCH):
            batch = [guid for guid in pending[at : at + BATCH] if self._is_usable(guid)]
            dropped += sum(await asyncio.gather(*map(self._redrop, batch)))
            self.counts.unsettled = len(self._unsettled)
            await asyncio.sleep(0)  # a batch without usable GUIDs has not yielded to the loop
        return dropped

    async def _redrop(self, guid: str) -> bool:
        mark = self._unsettled.mark(guid)  # before the drop: a later failure needs another
        return await self._drop(guid, 0) and self._unsettled.forget(guid, mark)

    async def _drop(self, guid: str, token: int) -> bool:
        """Drops the entry and the reader's lease; returns whether that is certain."""
        reply = await self._servers.ask("drop", self._key(guid), token)
        return not isinstance(reply, Exception)

    def _remember(self, guid: str) -> None:
        self._unsettled.remember(guid)
        self.counts.unsettled = len(self._unsettled)
        self._keep(at_once=self._is_usable(guid))

    def _keep(self, *, at_once: bool) -> None:
        """Ensures that a task drops the unsettled GUIDs: at once, or after the pause."""
        if not self._closed and (self._keeper is None or self._keeper.done()):
            self._keeper = asyncio.get_running_loop().create_task(self._keep_at_it())
        if at_once:
            self._woken.set()

    async def _keep_at_it(self) -> None:
        replayed = 0
        while True:
            self._woken.clear()
            replayed += await self.replay()
            if self._back and not self._woken.is_set():
                back, self._back = self._back, []
                log.info(
                    "cache back", servers=back, replayed=replayed, unsettled=len(self._unsettled)
                )
                replayed = 0
            if not self._unsettled and not self._back:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPLAY_PAUSE):
                    await self._woken.wait()

    # Calls by the servers.

    def failed(self) -> None:
        """Notes that a server can't be asked."""
        self.counts.unreachable = self._servers.unreachable

    def back(self, name: str) -> None:
        """Notes that a server can be asked again, and drops its unsettled GUIDs first."""
        self.counts.unreachable = self._servers.unreachable
        self._back.append(name)
        self._keep(at_once=True)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
