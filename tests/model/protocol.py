"""The lease protocol as a model that is small enough to walk through every interleaving of it.

There is one GUID, one store, one cache and a few processes. A process works in atomic steps.
Between two of its steps other processes may take steps or crash, and the cache may be flushed. From
a first world `walk` visits every world that can follow. It stops at the first in which a promise
is broken.

*A version* is the number of commits so far, and whether the last one left a record. So "older" is a
comparison of two numbers, and a deletion is a commit like any other.

*The floor* is the promise as a number: no read that begins now may return a version below it. The
response to a write raises it to that write's commit, and the response to a read to the version that
the read returned. With flushes only the responses to writes count: a read during a write may then
see the new version, and a later read the old one again, until the write has its response.

*A lease* is stored with the process that holds it, not in a table of tokens. So processes of one
kind are interchangeable, and worlds that differ only in the order of the processes are the same
world. This keeps the number of worlds of five processes small enough.

*The faults* are the protocol with one rule left out. The walk must catch each of them, or its
result would prove nothing.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["read", "update", "create", "delete"]

FAULTS = {
    "no lease": "a writer does not announce itself",
    "unchecked fill": "a reader fills though its lease was revoked",
    "lease once": "a writer keeps its lease over a failed compare-and-set",
    "lease first": "a writer leases before it reads, not after",
    "reader ignores writers": "a reader gets a lease while a writer's stands",
    "release all": "settling takes back the leases of all writers",
    "fill though overtaken": "settling puts the record in though another writer leased since",
    "lost keeps": "settling with a lease that is gone leaves the entry there",
    "settle before commit": "the record is put in before the store has it",
    "absence cached": "that there is no record is kept as an entry",
}


class Version(NamedTuple):
    """The state of the store after a number of commits: whether there is a record."""

    commits: int
    present: bool


class Process(NamedTuple):
    """A reader or a writer, and its progress.

    Attributes:
        kind: the process's work.
        step: the next step; or "done" or "crashed".
        seen: the version that it read.
        wrote: the version that it committed.
        lease: whether its lease stands; False too if it was revoked or lost.
        last: for a writer, whether no other leased after it; for a reader, whether it ever leased.
        floor: the floor when the process began.
    """

    kind: Kind
    step: str = "start"
    seen: Version | None = None
    wrote: Version | None = None
    lease: bool = False
    last: bool = False
    floor: int = 0


class World(NamedTuple):
    """The state of everything; `flushes` and `crashes` are the numbers that may still happen."""

    store: Version
    entry: Version | None
    floor: int
    flushes: int
    crashes: int
    processes: tuple[Process, ...]


class Stale(Exception):
    """A read returned something older than the floor."""


class Walked(NamedTuple):
    """The number of worlds, and the way to one in which the promise is broken, if there is one."""

    worlds: int
    broken: Sequence[World] | None


def walk(
    kinds: Sequence[Kind],
    *,
    fault: str | None = None,
    flushes: int = 0,
    crashes: int = 0,
    strict: bool = False,
) -> Walked:
    """Visits every world that those processes can reach; stops at a broken promise.

    Args:
        kinds: the kinds of the processes.
        fault: one of `FAULTS`, or None.
        flushes: the number of flushes that may happen.
        crashes: the number of processes that may crash.
        strict: whether reads raise the floor with flushes too, which is more than is promised.
    """
    rules = Rules(fault, acked_only=flushes > 0 and not strict)
    first = World(Version(0, True), None, 0, flushes, crashes, tuple(map(Process, kinds)))
    before: dict[World, World | None] = {first: None}
    waiting = deque([first])
    while waiting:
        world = waiting.popleft()
        try:
            for after in rules.after(world):
                if after not in before:
                    before[after] = world
                    waiting.append(after)
        except Stale:
            return Walked(len(before), _way_to(world, before))
    return Walked(len(before), None)


def _way_to(world: World, before: dict[World, World | None]) -> list[World]:
    way: list[World] = []
    at: World | None = world
    while at is not None:
        way.insert(0, at)
        at = before[at]
    return way


class Rules:
    """The steps that are possible in a world: the protocol, or the protocol with one fault.

    Args:
        fault: one of `FAULTS`, or None.
        acked_only: whether only responses to writes raise the floor.
    """

    def __init__(self, fault: str | None, *, acked_only: bool) -> None:
        self._fault = fault
        self._acked_only = acked_only

    def after(self, world: World) -> Iterator[World]:
        """Yields every world that one step leads to.

        Raises:
            Stale: a step is a read that breaks the promise.
        """
        if world.flushes:
            without = [process._replace(lease=False) for process in world.processes]
            yield _made(world, without, entry=None, flushes=world.flushes - 1)
        for at, process in enumerate(world.processes):
            if at and process == world.processes[at - 1]:
                continue  # an identical process has just done the same
            others = [*world.processes[:at], *world.processes[at + 1 :]]
            if process.step == "crashed":
                if process.lease:  # it times out: that lease, and no other
                    yield _made(world, [*others, process._replace(lease=False)])
                continue
            if world.crashes and process.step not in ("start", "done"):
                crashed = process._replace(step="crashed", seen=None, wrote=None)
                yield _made(world, [*others, crashed], crashes=world.crashes - 1)
            step = self._read if process.kind == "read" else self._write
            yield from step(world, process, others)

    def _read(self, world: World, me: Process, others: list[Process]) -> Iterator[World]:
        match me.step:
            case "start":
                if world.entry is not None:
                    yield self._answered(world, me, others, world.entry, world.floor)
                    return
                hindered = any(
                    other.lease
                    and not (self._fault == "reader ignores writers" and other.kind != "read")
                    for other in others
                )
                me = me._replace(step="get", lease=not hindered, last=not hindered)
                yield _made(world, [*others, me._replace(floor=world.floor)])
            case "get":
                yield _made(world, [*others, me._replace(step="fill", seen=world.store)])
            case "fill":
                seen = me.seen or world.store
                if me.last if self._fault == "unchecked fill" else me.lease:
                    world = world._replace(entry=self._kept(seen))
                yield self._answered(world, me, others, seen, me.floor)

    def _answered(
        self, world: World, me: Process, others: list[Process], version: Version, floor: int
    ) -> World:
        if version.commits < floor:
            raise Stale
        if not self._acked_only:
            world = world._replace(floor=max(world.floor, version.commits))
        return _made(world, [*others, Process(me.kind, "done")])

    def _write(self, world: World, me: Process, others: list[Process]) -> Iterator[World]:
        match me.step:
            case "start" if self._fault == "lease first":
                yield self._leased(world, me, others, then="get")
            case "start" | "get":
                then = "set" if self._fault == "lease first" else "lease"
                for version in {world.store, world.entry or world.store}:
                    yield _made(world, [*others, me._replace(step=then, seen=version)])
            case "lease":
                then = "settle early" if self._fault == "settle before commit" else "set"
                yield self._leased(world, me, others, then=then)
            case "settle early":
                will = me._replace(wrote=_intended(me))
                yield self._settled(world, will, others, me._replace(step="set"))
            case "set":
                yield self._compare_and_set(world, me, others)
            case "give back" | "settle":
                yield self._concluded(world, me, others)

    def _concluded(self, world: World, me: Process, others: list[Process]) -> World:
        """The step after a compare-and-set: another attempt if it failed, else the response."""
        if me.step == "give back":
            if self._fault == "lease once":
                return _made(world, [*others, me._replace(step="set", seen=world.store)])
            again = Process(me.kind, "lease", seen=world.store)
            return self._settled(world, me, others, again)
        if me.wrote is not None:
            world = world._replace(floor=max(world.floor, me.wrote.commits))
        done = Process(me.kind, "done")
        if self._fault == "settle before commit":
            return _made(world, [*others, done])
        return self._settled(world, me, others, done)

    def _leased(self, world: World, me: Process, others: list[Process], then: str) -> World:
        if self._fault == "no lease":
            return _made(world, [*others, me._replace(step=then)])
        others = [
            other._replace(lease=False) if other.kind == "read" else other._replace(last=False)
            for other in others
        ]
        me = me._replace(step=then, lease=True, last=True)
        return _made(world, [*others, me], entry=None)

    def _compare_and_set(self, world: World, me: Process, others: list[Process]) -> World:
        seen = me.seen or world.store
        if seen.present == (me.kind == "create"):  # nothing to do: 404, or it is there already
            return _made(world, [*others, me._replace(step="settle")])
        same = world.store == seen if seen.present else not world.store.present
        if not same:
            return _made(world, [*others, me._replace(step="give back")])
        wrote = Version(world.store.commits + 1, me.kind != "delete")
        return _made(world, [*others, me._replace(step="settle", wrote=wrote)], store=wrote)

    def _settled(self, world: World, me: Process, others: list[Process], then: Process) -> World:
        """Gives the lease back; `then` is the process afterwards."""
        then = then._replace(lease=False, last=False)
        if self._fault == "no lease":
            entry = self._kept(me.wrote) if me.wrote else None
            return _made(world, [*others, then], entry=entry)
        if not me.lease:
            if self._fault == "lost keeps":
                return _made(world, [*others, then])
            others = [_without_readers_lease(other) for other in others]
            return _made(world, [*others, then], entry=None)
        if self._fault == "release all":
            others = [
                other if other.kind == "read" else other._replace(lease=False) for other in others
            ]
        entry = world.entry
        if me.wrote and (me.last or self._fault == "fill though overtaken"):
            entry = self._kept(me.wrote)
        return _made(world, [*others, then], entry=entry)

    def _kept(self, version: Version) -> Version | None:
        """The entry that the cache keeps of a version."""
        return version if version.present or self._fault == "absence cached" else None


def _intended(me: Process) -> Version | None:
    """The version that a writer commits unless another is faster; None: nothing."""
    if me.seen is None or me.seen.present == (me.kind == "create"):
        return None
    return Version(me.seen.commits + 1, me.kind != "delete")


def _without_readers_lease(process: Process) -> Process:
    return process._replace(lease=False) if process.kind == "read" else process


def _made(
    world: World,
    processes: list[Process],
    *,
    store: Version | None = None,
    entry: Version | Literal["as it was"] | None = "as it was",
    flushes: int | None = None,
    crashes: int | None = None,
) -> World:
    """The world with those changes. Its processes are sorted, so equal worlds compare equal."""
    return World(
        store or world.store,
        world.entry if entry == "as it was" else entry,
        world.floor,
        world.flushes if flushes is None else flushes,
        world.crashes if crashes is None else crashes,
        tuple(sorted(processes, key=repr)),
    )
