"""Three nodes in one process, over one store in memory and one cache, under virtual time.

Each call of store and cache takes a while before it happens and a while after, as if they were on
other machines; the whiles come from the seed.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guidkeep.answer import parse
from guidkeep.caches.memory import MemoryCache
from guidkeep.drafts import Drafts
from guidkeep.errors import GuidkeepError
from guidkeep.metrics import Metrics
from guidkeep.record import Condition, Record, parse_change
from guidkeep.registry import Registry
from guidkeep.schema import MetadataSchema
from tests.consistency import virtual
from tests.consistency.jitter import Jitter, JitteredCache, JitteredStore
from tests.consistency.operations import Seen, members_of
from tests.consistency.workload import Recorder
from tests.registry.memory_store import MemoryStore
from tests.support import MARCH_2015

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.consistency.operations import Operation
    from tests.consistency.workload import Load

MOST = 0.02
"""Seconds of a long delay."""


@dataclass(frozen=True)
class Run:
    """What a run left behind.

    Attributes:
        history: the operations.
        flushes: when the cache was flushed.
    """

    history: list[Operation]
    flushes: list[tuple[float, float]]


class LocalNodes:
    """Asks registries as the HTTP application would."""

    def __init__(self, registries: list[Registry]) -> None:
        self._registries = registries

    async def ask(self, operation: Operation) -> None:
        registry = self._registries[operation.node]
        try:
            record = await _do(registry, operation)
        except GuidkeepError as error:
            operation.status, operation.problem = error.status, error.type
            return
        if record is None:
            operation.status = 204
        elif operation.if_none_match == record.version:
            operation.status = 304
        else:
            operation.seen = Seen(
                members_of(json.loads(record.metadata)), record.expire, record.version
            )
            operation.status = operation.status or 200


async def _do(registry: Registry, operation: Operation) -> Record | None:
    """The record that the answer has; None: it was deleted."""
    guid = operation.guid
    if operation.kind == "read":
        answer = registry.hit(guid)
        return parse(answer) if answer else await registry.read(guid)
    condition = Condition(
        None if operation.if_match is None else frozenset({f'"{operation.if_match}"'}),
        None if operation.if_none_match is None else frozenset({"*"}),
    )
    if operation.kind == "delete":
        await registry.delete(guid, condition)
        return None
    body = dict(operation.changes)
    if operation.expire is not None:
        body["expire"] = str(operation.expire)
    change = parse_change(json.dumps(body).encode(), now=int(registry.clock()), guid=guid)
    if operation.kind == "patch":
        return await registry.update(guid, change, condition)
    write = registry.replace if operation.kind == "put" else registry.create_or_update
    written = await write(change, condition)
    operation.status = 201 if written.created else 200
    return written.record


def run(
    load: Load,
    *,
    cache: Callable[..., MemoryCache] = MemoryCache,
    registry: type[Registry] = Registry,
    flushes: int = 0,
) -> Run:
    """Lets the clients work on three nodes.

    Args:
        load: what they do.
        cache: makes the cache, which may have a fault.
        registry: what the nodes are made of, the same.
        flushes: how often the cache forgets everything.
    """
    return virtual.run(_run(load, cache(max_size=2**20, max_age=60), registry, flushes))


async def _run(load: Load, cache: MemoryCache, registry: type[Registry], flushes: int) -> Run:
    elapsed = asyncio.get_running_loop().time
    store = MemoryStore()

    def clock() -> float:
        return MARCH_2015 + elapsed()

    def node(number: int, skew: float) -> Registry:
        seed = f"{load.seed} {number}"
        return registry(
            JitteredStore(store, Jitter(f"store {seed}", MOST)),
            JitteredCache(cache, Jitter(f"cache {seed}", MOST)),
            drafts=Drafts(MetadataSchema()),
            metrics=Metrics(),
            clock=lambda: clock() + skew,
        )

    nodes = LocalNodes([node(number, skew) for number, skew in enumerate(load.skews)])
    flushed: list[tuple[float, float]] = []

    async def flush() -> None:
        for _ in range(flushes):
            await asyncio.sleep(load.seconds / (flushes + 1))
            cache.flush()
            flushed.append((elapsed(), elapsed()))

    flushing = asyncio.create_task(flush())
    history = await Recorder(load, elapsed, clock).run(lambda _: nodes)
    await flushing
    return Run(history, flushed)
