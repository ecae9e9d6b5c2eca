"""Fences: they end the doubt about a write whose response did not arrive.

A store on another machine may leave the outcome of a write in doubt: the connection broke, or the
time ran out. The statement may have run, or it may sit in a buffer and run a minute later, or
never. While it may still run, no reader may fill the cache with the former record: the cache would
be wrong from the moment the write lands.

So the writer keeps its lease, and renews it, until the write can't land any more. Some stores know
when that is (`OutcomeUnknown.settled`). For the others the writer raises a fence. The write would
replace or delete exactly one version of the record. The fence stores the same record under a new
version. If the fence succeeds, the write has not landed and can't land any more. If the fence is
refused, that version is gone: this write or another has landed, and this one can't land again.
Either way the outcome is certain.

An insert needs no fence. It can only land where there is no live record, and the cache never keeps
the absence of a record, so a late insert makes no entry wrong.

*The limit.* A process that dies before its fence is raised leaves its lease to the timeout. If the
write lands after that, the cache may return the former record until its entry ends.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import structlog

from guidkeep.errors import StoreUnavailable
from guidkeep.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.caches import Cache, Lease
    from guidkeep.record import Record
    from guidkeep.stores import Store

log = structlog.get_logger(__name__)

BACKOFF = Backoff(first=0.1, longest=2.0)
"""The waits between attempts to raise a fence."""


async def raise_fence(store: Store, former: Record, version: Callable[[], int]) -> None:
    """Returns when no write that replaces or deletes `former` can land any more.

    Args:
        store: the store; the fence is tried again until the store responds.
        former: the record that the write in doubt would replace or delete.
        version: returns a new version, greater than all before it.
    """
    retry = 0
    while True:
        same = dataclasses.replace(former, version=version())
        try:
            await store.replace(same, former.version)
        except Exception as error:
            if not isinstance(error, StoreUnavailable):
                log.exception("fence failed", guid=former.guid)
            await asyncio.sleep(BACKOFF.seconds(retry))
            retry += 1
        else:
            return


async def hold_until(certain: asyncio.Future[Any], cache: Cache, lease: Lease, now: float) -> None:
    """Renews a writer's lease until `certain` is done, then settles it.

    Args:
        certain: done when the write can't land any more.
        cache: the cache that gave the lease.
        lease: the writer's lease.
        now: Unix time in seconds.
    """
    while not certain.done() and cache.renew_after is not None:
        following = await cache.lease(lease.guid)  # at once: the write has used up some of it
        await cache.settle(lease, None, now)
        lease = following
        await asyncio.wait([certain], timeout=cache.renew_after)
    await asyncio.wait([certain])
    await cache.settle(lease, None, now)
