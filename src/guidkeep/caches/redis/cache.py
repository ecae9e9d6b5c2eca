"""The cache of many nodes: leases and entries in one Redis, or in a Redis Cluster.

The protocol is that of `guidkeep.caches`; each of its steps is a script on one key, one round trip
(`redis_scripts`). What is said here is how it stays true when Redis, or the way there, fails.
No call ever raises because of that: without the cache a read asks the store, and a write goes on.

*What is flushed is forgotten by all.* A Redis that loses everything, or one key, or was started
anew, or is a replica that was promoted, is a cache that was flushed: `guidkeep.caches` has that
in its protocol, and the generations in `redis_scripts` see to it that no part survives.

*A call whose outcome is unknown* may have happened, or may happen yet: it waits in a buffer, and
Redis does it when it wakes up. So none may do harm by being late.
A late *get* takes a reader's lease that nobody uses and that times out. A late *fill* works only
while its lease stands, hence only if no writer has leased and no drop (below) came since its
reader began. A late *lease* stands in the readers' way until it times out, no more. A late *settle*
puts its record in only if its lease stands and nobody leased, or dropped, after that.

*A writer whose lease is not known to stand* goes on, for the store alone decides. Its settling is
a drop, which is stronger than a settling whose lease is gone: it overtakes all writers whose
leases stand, as if it had leased and given back at once. So what another writer, whose settling is
still on its way, has to say does not come into the cache after it.

*A writer that could not settle* leaves what others may believe: an entry that was filled before,
or is filled yet by a reader that began before. Its node remembers the GUID and answers; it asks the
cache nothing about that GUID until it was dropped there. The drop is repeated until it
is known to have happened. Everything that Redis did before the drop is undone by it, late calls
included; every lease that it gives after the drop goes to one who reads the store after the
write. That it is remembered and not merely tried again matters to the node itself, whose clients
have had the answer. The others learn of it by the drop; until then, and if the node dies before
that, they may have the former value, for `max_age` at most after it was filled: the promise.

*Nothing is remembered for ever.* A former entry was filled by a reader, or a writer, whose lease
stood when the write was settled; it times out within `lease_time`, and an entry lives for
`max_age`. After the sum of both nothing is left (`unsettled`, which also says what happens when
there are too many GUIDs to remember).

*The limits.* Redis' clock decides on time-outs of leases: set forward by more than `lease_time`
while a write is on its way, it lets a reader fill which must not. Its settling then finds its
lease gone, and drops. Two servers that both take themselves for the master (a master that is cut
off and does not know yet, for some seconds) serve nodes that are cut off from each other: what
one of them says may be old by `max_age`. And a server that is made a replica and the master again
within `SILENCE` (`redis_connection`), unnoticed by a node, may show it an entry from before.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
import time
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import structlog

from guidkeep.caches import CacheCounts, Lease, entries
from guidkeep.caches.redis.breaker import PROBES
from guidkeep.caches.redis.connection import Late, ReplyError, Unavailable
from guidkeep.caches.redis.nodes import Cluster, Nodes, Single
from guidkeep.caches.redis.server import Options
from guidkeep.caches.redis.unsettled import LIMIT, Unsettled
from guidkeep.caches.redis.url import RedisAddress
from guidkeep.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from guidkeep.caches import CacheOptions, Form
    from guidkeep.caches.entries import Entry
    from guidkeep.caches.redis.server import Word
    from guidkeep.record import Record

log = structlog.get_logger("guidkeep.cache")

ANOTHER_FILLS: Final = 2
"""What `get` replies when another reader has the right to fill."""
WAITS: Final = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
"""Seconds between looks for what another reader fills; after the last one the store is asked."""
BATCH: Final = 512
"""Unsettled GUIDs that are dropped in one batch."""
REPLAY_PAUSE: Final = 1.0
"""Seconds from one try to drop what is unsettled to the next."""


class RedisCache:
    """See the module's text.

    Args:
        address: where Redis is.
        max_age: seconds that an entry lives at most.
        timeout: seconds that a read waits for Redis.
        patience: seconds that a write waits for it.
        lease_time: seconds that a lease lasts at most.
        metrics: what the cache counts goes there.
        clock: seconds of a clock that only goes forward.
        pauses: from the number of failed probes of a server to the seconds until the next.
        waits: seconds between looks for an entry that another reader is about to put in.
        limit: unsettled GUIDs remembered at most.
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
        self._tokens = count(secrets.randbits(64) << 40 | 1)  # no other node's, nor of another time
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
        self._nodes: Nodes = (
            Cluster(address.shown, address.seeds, options, self)
            if address.is_cluster
            else Single(*address.seeds[0], options, self)
        )

    # The protocol.

    def hit(self, guid: str, now: float) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Nothing: there is nothing at hand in this process."""
        return None

    def peek(self, guid: str, now: float, tell: Callable[[bytes | None], None]) -> bool:
        """Asks Redis for the rendered entry, and waits for nothing; see `Cache.peek`."""
        if guid in self._unsettled:
            return False

        def take(reply: Any) -> None:
            entry = self._believed(guid, reply, now)
            if entry is None:
                tell(None)
                return
            self.counts.hits += 1
            tell(self._form.render(entry))

        return self._nodes.peek(self._key(guid), now, take)

    async def get(self, guid: str, now: float) -> Record | Lease | None:
        """The entry; or a miss with the right to fill; or a miss without it.

        An entry that another reader, on another node, is about to put in is waited for, so that
        a herd before several nodes makes one question to the store; but not for long.
        """
        if guid in self._unsettled:
            self.counts.misses += 1
            return None
        token = next(self._tokens)
        key = self._key(guid)
        try:
            reply = await self._nodes.ask("get", key, now, token)
            for pause in self._waits:
                if reply != ANOTHER_FILLS:
                    break
                await asyncio.sleep(pause)
                reply = await self._nodes.ask("get", key, now, token)
        except asyncio.CancelledError:
            self._spawn(self.fill(Lease(guid, token), None, now))  # nobody is left to use it
            raise
        if self._believed(guid, reply, now) is not None:
            self.counts.hits += 1
            return entries.parse(reply)
        if isinstance(reply, Late):
            self._spawn(self.fill(Lease(guid, token), None, now))  # what it will have given
        self.counts.misses += 1
        return Lease(guid, token) if reply == 1 else None

    async def fill(self, lease: Lease, record: Record | None, now: float) -> None:
        """Puts `record` in unless the lease was revoked; None just gives it back."""
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
            stands = await self._nodes.ask("lease", self._key(guid), token) == 1
        except asyncio.CancelledError:
            self._spawn(self.settle(Lease(guid, -token), None, 0))  # nobody is left to use it
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
            if not settled:  # or cancelled, and the outcome not looked at
                self._remember(lease.guid)

    def doubt(self) -> None:
        """Nothing: Redis goes by its own clock, how old an entry is."""

    async def ping(self) -> None:
        """Raises OSError if Redis, or any master of the cluster, can't be asked."""
        await self._nodes.ping()

    async def close(self) -> None:
        """Lets go of the connections."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        await self._nodes.close()

    # Asking.

    def _key(self, guid: str) -> bytes:
        return self._prefix + guid.encode()

    def _is_usable(self, guid: str) -> bool:
        """Whether there is any use in asking for that GUID now."""
        return self._nodes.usable(self._key(guid))

    async def _with_entry(
        self, script: str, without: str, lease: Lease, entry: tuple[Word, ...] | None
    ) -> Any:
        """Runs the script; or that without an entry, if there is none or Redis has no room."""
        key = self._key(lease.guid)
        if entry is not None:
            reply = await self._nodes.ask(script, key, lease.token, *entry)
            if not (isinstance(reply, ReplyError) and str(reply).startswith("OOM")):
                return reply
        return await self._nodes.ask(without, key, lease.token)

    def _entry(self, record: Record | None, now: float) -> tuple[Word, ...] | None:
        """What the scripts want to know of an entry."""
        if record is None:
            return None
        until = min(record.expire, now + self._max_age)
        if until <= now:
            return None
        return until, math.ceil((until - now) * 1000), entries.render(entries.entry_of(record))

    def _believed(self, guid: str, reply: Any, now: float) -> Entry | None:
        """The entry that Redis replied; None: it replied none, or one that is not to be believed.

        Such a one was written by somebody else: it is dropped, so that another can take its place.
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

    # What could not be settled.

    async def replay(self) -> int:
        """Drops what could not be settled, where there is any use in trying; says how many."""
        self._unsettled.expire()
        self.counts.unsettled = len(self._unsettled)
        dropped = 0
        pending = self._unsettled.pending()
        for at in range(0, len(pending), BATCH):
            batch = [guid for guid in pending[at : at + BATCH] if self._is_usable(guid)]
            dropped += sum(await asyncio.gather(*map(self._redrop, batch)))
            self.counts.unsettled = len(self._unsettled)
            await asyncio.sleep(0)  # a batch of which nothing can be tried waits for nothing
        return dropped

    async def _redrop(self, guid: str) -> bool:
        mark = self._unsettled.mark(guid)  # before the drop: a later failure needs another
        return await self._drop(guid, 0) and self._unsettled.forget(guid, mark)

    async def _drop(self, guid: str, token: int) -> bool:
        """Drops entry and reader's lease; says whether that is certain."""
        reply = await self._nodes.ask("drop", self._key(guid), token)
        return not isinstance(reply, Exception)

    def _remember(self, guid: str) -> None:
        self._unsettled.remember(guid)
        self.counts.unsettled = len(self._unsettled)
        self._keep(at_once=self._is_usable(guid))

    def _keep(self, *, at_once: bool) -> None:
        """Sees to it that somebody works on what is unsettled: at once, or after the pause."""
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

    # What the servers call.

    def failed(self) -> None:
        """A server can't be asked."""
        self.counts.unreachable = self._nodes.unreachable

    def back(self, name: str) -> None:
        """A server can be asked again: what could not be settled there comes first."""
        self.counts.unreachable = self._nodes.unreachable
        self._back.append(name)
        self._keep(at_once=True)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def open_redis(url: str, options: CacheOptions) -> RedisCache:
    """The cache in the Redis that `url` names; see `RedisAddress`. Redis need not be up yet.

    Raises:
        StartupError: a wrong URL or parameter; the message says why.
    """
    return RedisCache(
        RedisAddress.parse(url),
        max_age=options.max_age,
        timeout=options.timeout,
        patience=options.patience,
        lease_time=options.lease_time,
        metrics=options.metrics or Metrics(),
        form=options.form,
    )
