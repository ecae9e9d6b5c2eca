"""Three nodes in one process, over one store in memory and one cache, under virtual time.

The cache is the one in memory, which the nodes share here, or the one in Redis (`blocking`).

Each call of store and cache has a delay before and after it, as if they were on other machines. The
delays follow from the seed.
"""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from guidkeep.caches.entries import parse
from guidkeep.caches.memory import MemoryCache
from guidkeep.errors import GuidkeepError
from guidkeep.http.conditions import Preconditions
from guidkeep.metrics import Metrics
from guidkeep.record import Record, parse_change
from guidkeep.registry.drafts import Drafts
from guidkeep.registry.registry import Registry
from guidkeep.schema import MetadataSchema
from guidkeep.wire.problems import problem_of
from tests.consistency import virtual
from tests.consistency.jitter import Jitter, JitteredCache, LosingStore
from tests.consistency.operations import Seen, members_of
from tests.consistency.workload import Recorder
from tests.registry.memory_store import MemoryStore
from tests.support import MARCH_2015

if TYPE_CHECKING:
    from guidkeep.caches import Cache
    from tests.consistency.operations import Operation
    from tests.consistency.workload import Load

MOST = 0.02
"""Seconds of a long delay."""
OFTEN = 0.35
"""The part of the delays that is long. It is large, because some races need several long delays."""


@dataclass(frozen=True)
class Run:
    """The result of a run.

    Attributes:
        history: the operations.
        flushes: when the cache was flushed.
    """

    history: list[Operation]
    flushes: list[tuple[float, float]]


class Shared(Protocol):
    """The cache of all nodes."""

    def cache(self) -> Cache:
        """A node's access to the cache."""
        ...

    def flush(self) -> None:
        """Flushes the cache."""
        ...


class InMemory:
    """A cache in memory, the same for all nodes.

    Args:
        kind: its class, which may have a fault.
    """

    def __init__(self, kind: type[MemoryCache] = MemoryCache) -> None:
        self._cache = kind(max_size=2**20, max_age=60)
        self.flush = self._cache.flush

    def cache(self) -> MemoryCache:
        return self._cache


class LocalNodes:
    """Calls registries as the HTTP application does."""

    def __init__(self, registries: list[Registry]) -> None:
        self._registries = registries

    async def ask(self, operation: Operation) -> None:
        registry = self._registries[operation.node]
        try:
            record = await _do(registry, operation)
        except GuidkeepError as error:
            operation.status, operation.problem = problem_of(error).status, error.code
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
    """The record of the response; None: it was deleted."""
    guid = operation.guid
    if operation.kind == "read":
        told = [registry.hit(guid)]
        registry.peek(guid, told.append)  # at once, if it is asked at all
        answer = told[0] or told[-1]
        return parse(answer) if answer else await registry.read(guid)
    condition = Preconditions(
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
    shared: Shared | None = None,
    registry: type[Registry] = Registry,
    flushes: int = 0,
    lost: float = 0.0,
) -> Run:
    """Runs the clients on three nodes.

    Args:
        load: the clients' load.
        shared: the cache; by default the one in memory.
        registry: the class of the nodes' registries.
        flushes: the number of flushes of the cache.
        lost: the part of the writes whose response the store loses.
    """
    return virtual.run(_run(load, shared or InMemory(), registry, flushes, lost))


async def _run(
    load: Load, shared: Shared, registry: type[Registry], flushes: int, lost: float
) -> Run:
    elapsed = asyncio.get_running_loop().time
    random.seed(f"versions {load.seed}")
    store = MemoryStore()

    def clock() -> float:
        return MARCH_2015 + elapsed()

    def node(number: int, skew: float) -> Registry:
        seed = f"{load.seed} {number}"
        return registry(
            LosingStore(store, Jitter(f"store {seed}", MOST, often=OFTEN), seed=seed, part=lost),
            JitteredCache(shared.cache(), Jitter(f"cache {seed}", MOST, often=OFTEN)),
            drafts=Drafts(MetadataSchema()),
            metrics=Metrics(),
            clock=lambda: clock() + skew,
        )

    registries = [node(number, skew) for number, skew in enumerate(load.skews)]
    nodes = LocalNodes(registries)
    flushed: list[tuple[float, float]] = []

    async def flush() -> None:
        for _ in range(flushes):
            await asyncio.sleep(load.seconds / (flushes + 1))
            shared.flush()
            flushed.append((elapsed(), elapsed()))

    flushing = asyncio.create_task(flush())
    history = await Recorder(load, elapsed, clock).run(lambda _: nodes)
    await flushing
    await asyncio.gather(*(each.close() for each in registries))
    return Run(history, flushed)
