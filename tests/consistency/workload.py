"""Clients that do all kinds of operations on few GUIDs, and record the responses.

The seed alone determines a client's operations, except for ETags and times. So a seed repeats a
run: exactly under virtual time, and as far as timing allows on real servers.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tests.consistency.operations import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.consistency.operations import Kind

SLOTS = ("m0", "m1")
LONG = 3600
OWNED = 4
"""Records per node that only its own clients write; all clients read them. So other writes do not
soon overwrite those of a node that was cut off."""
WRITES: dict[Kind, int] = {"post": 5, "patch": 6, "put": 3, "delete": 3}
"""The kinds of writes, with their relative frequencies."""


class Transport(Protocol):
    """Sends a client's requests to nodes."""

    async def ask(self, operation: Operation) -> None:
        """Does the operation, and records the response in it.

        `status` stays None if there was no response and the operation may have been done; see
        `unasked`.
        """
        ...


class NotAsked(Exception):
    """The node could not be reached: nothing was done."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """The amount and the kinds of operations.

    Attributes:
        seed: the seed; see the module's text.
        seconds: the duration.
        clients: the number of concurrent clients.
        guids: the number of records that all clients write; see also `OWNED`.
        owned: the part of the operations on the `OWNED` records.
        lifetimes: minimum and maximum lifetime of short-lived records, in seconds.
        reads: the part of the operations that only read.
        short: the part of the writes that make a record short-lived.
        pause: maximum seconds that a client waits between two operations.
        skews: seconds by which the nodes' clocks are ahead.
    """

    seed: int
    seconds: float = 5.0
    clients: int = 10
    guids: int = 3
    owned: float = 0.4
    lifetimes: tuple[int, int] = (2, 4)
    reads: float = 0.6
    short: float = 0.4
    pause: float = 0.004
    skews: Sequence[float] = (0.0, 0.0, 0.0)

    @property
    def names(self) -> list[str]:
        """The GUIDs, different for each seed: those that all write, then the nodes' own."""
        chance = random.Random(f"guids {self.seed}")  # noqa: S311 - load, no secret
        count = self.guids + OWNED * len(self.skews)
        return [f"{chance.getrandbits(128):032X}" for _ in range(count)]


@dataclass
class Recorder:
    """The history as it grows.

    Args:
        load: the load.
        elapsed: returns the seconds since the run began, by a monotonic clock.
        clock: returns Unix time in seconds, of a node without skew.
        is_over: returns whether clients stop; by default when the load's seconds are over.
    """

    load: Load
    elapsed: Callable[[], float]
    clock: Callable[[], float]
    is_over: Callable[[], bool] | None = None
    history: list[Operation] = field(default_factory=list)
    unasked: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def run(self, transport_of: Callable[[int], Transport]) -> list[Operation]:
        """Runs all clients until their time is over; returns the history."""
        await asyncio.gather(
            *(self._client(number, transport_of(number)) for number in range(self.load.clients))
        )
        return self.history

    async def read_all(self, transport: Transport) -> None:
        """Reads each record from each node, after all clients have ended."""
        for guid in self.load.names:
            for node in range(len(self.load.skews)):
                await self._do(Operation(next(self._numbers), guid, node, -1, "read"), transport)

    async def _client(self, client: int, transport: Transport) -> None:
        chance = random.Random(f"{self.load.seed} {client}")  # noqa: S311 - load, no secret
        tags: dict[str, int] = {}
        is_over = self.is_over or (lambda: self.elapsed() >= self.load.seconds)
        while not is_over():
            operation = self._next(client, chance, tags)
            await self._do(operation, transport)
            if operation.seen:
                tags[operation.guid] = operation.seen.etag
            await asyncio.sleep(chance.random() ** 3 * self.load.pause)

    async def _do(self, operation: Operation, transport: Transport) -> None:
        skew = self.load.skews[operation.node]
        operation.invoked, operation.earliest = self.elapsed(), self.clock() + skew
        try:
            await transport.ask(operation)
        except NotAsked:
            self.unasked += 1
            return
        finally:
            returned, latest = self.elapsed(), self.clock() + skew
        operation.returned = returned
        if operation.status is not None:
            operation.latest = latest
        self.history.append(operation)

    def _next(self, client: int, chance: random.Random, tags: dict[str, int]) -> Operation:
        """The client's next operation; it always draws the same number of random numbers."""
        load, number = self.load, next(self._numbers)
        node = client % len(load.skews)  # its own: so one that hangs keeps none from the others
        [kind] = chance.choices(list(WRITES), list(WRITES.values()))
        kind = "read" if chance.random() < load.reads else kind
        shared = min(chance.randrange(load.guids), chance.randrange(load.guids))
        owner = chance.randrange(len(load.skews)) if kind == "read" else node
        owned = load.guids + OWNED * owner + chance.randrange(OWNED)
        guid = load.names[owned if chance.random() < load.owned else shared]
        slot, other = chance.sample(SLOTS, 2)
        lives = chance.randint(*load.lifetimes) if chance.random() < load.short else LONG
        dice, lot = chance.random(), chance.random()
        value = f"{client}.{chance.getrandbits(32):08x}"
        operation = Operation(number, guid, node, client, kind)
        tag = tags.get(guid)
        if kind == "read":
            operation.if_none_match = tag if dice < 0.1 else None
            return operation
        if dice < 0.15:
            operation.if_match = tag
        elif dice < 0.25 and kind in ("post", "put"):
            operation.if_none_match = "*"
        if kind == "patch":
            operation.changes = {slot: value, **({other: None} if lot < 0.2 else {})}
        elif kind in ("post", "put"):
            operation.changes = {"user": value, **({slot: value} if lot < 0.5 else {})}
        if kind in ("post", "put") or (kind == "patch" and lot > 0.8):
            operation.expire = int(self.clock() + load.skews[node]) + lives
        return operation
