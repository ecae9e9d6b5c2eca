"""Fences: how a write whose answer did not come is made certain.

A store on another machine may not say what became of a write: the connection broke, or time ran
out. The statement may have been done, it may sit in a buffer and be done in a minute, or never. As
long as it may, nobody must fill the cache with what was there before, or the cache is wrong from
the moment the write lands.

So the writer's lease stands, and is renewed, until the write can't happen behind anyone's back.
Some stores can tell when that is (`OutcomeUnknown.settled`). For the others it is brought about:
the write would replace or delete one version of the record and no other, so that record is written
once more, as it was, under a new version. If that succeeds, the write has not happened and can't
any more. If it is refused, that version is gone: the write has happened, or another's did, and it
can't happen again. Either way the outcome is certain.

An insert needs no fence. It can only land where there is no live record, and that there is none is
never cached; nothing in the cache is wrong when it does.

*The limit.* A process that dies with its fence not yet raised leaves the lease to its time-out. If
the write lands after that, the cache may answer with the former record until its entry ends.
"""

from __future__ import annotations

import asyncio
import dataclasses
from itertools import count
from typing import TYPE_CHECKING, Any

import structlog

from guidkeep.errors import StoreUnavailable
from guidkeep.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.caches import Cache, Lease
    from guidkeep.record import Record
    from guidkeep.stores import Store

log = structlog.get_logger("guidkeep.fences")

BACKOFF = Backoff(first=0.1, longest=2.0)
"""Between attempts to raise a fence."""


async def raise_fence(store: Store, former: Record, version: Callable[[], int]) -> None:
    """Returns when no write that was to replace or delete `former` can happen any more.

    Args:
        store: where it is tried again until the store answers.
        former: the record which that write was to take the place of.
        version: returns a new version, greater than all before it.
    """
    for retry in count():
        same = dataclasses.replace(former, version=version())
        try:
            await store.replace(same, former.version)
        except Exception as error:
            if not isinstance(error, StoreUnavailable):
                log.exception("fence failed", guid=former.guid)
            await asyncio.sleep(BACKOFF.seconds(retry))
        else:
            return


async def hold_until(certain: asyncio.Future[Any], cache: Cache, lease: Lease, now: float) -> None:
    """Keeps a writer's lease until `certain` is done, then gives it back.

    Args:
        certain: done when the write can't happen behind anyone's back.
        cache: where the lease stands.
        lease: the writer's.
        now: Unix time in seconds.
    """
    while not certain.done() and cache.renew_after is not None:
        following = await cache.lease(lease.guid)  # at once: the write has taken some of its time
        await cache.settle(lease, None, now)
        lease = following
        await asyncio.wait([certain], timeout=cache.renew_after)
    await asyncio.wait([certain])
    await cache.settle(lease, None, now)
