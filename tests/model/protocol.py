"""The lease protocol as a model, small enough that every interleaving of it can be walked.

One GUID, one store, one cache, a handful of processes. A process does its work in steps, each of
which is atomic, and between two steps of one anything may happen: steps of the others, a crash,
a flush of the cache. From a first world `walk` goes to every world that can follow, until there
are no new ones, and complains of the first in which a promise is broken.

*A version* is how many commits there have been, and whether the last of them left a record. So
"older" is a comparison of two numbers, and a deletion is a commit like any other.

*The floor* is the promise as a number: no read that begins now may return a version below it.
The answer to a write raises it to that write's commit, and the answer to a read to what the
read returned. Under a flush only answered writes count: a read that runs during a write may
then see the new version, and a read after it the old one, once more, until the write is answered.

*A lease* is written down at the process that holds it, not in a table of tokens. Processes of
one kind are interchangeable that way, so that worlds which differ only in who is who are one
world: that is what makes five processes few enough to walk.

*The faults* are the protocol with one thought left out. A walk that does not catch each of them
would not be worth believing when it finds nothing.
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
    """What the store holds after so many commits: a record, or none."""

    commits: int
    present: bool


class Process(NamedTuple):
    """A reader or a writer, and how far it has come.

    Attributes:
        kind: what it is to do.
        step: the step that comes next; "done" and "crashed" have none.
        seen: the version that it read.
        wrote: the version that it committed.
        lease: whether its lease stands; False too when it was revoked or lost.
        last: of a writer, whether no other leased after it; of a reader, whether it ever leased.
        floor: as it was when the process began.
    """

    kind: Kind
    step: str = "start"
    seen: Version | None = None
    wrote: Version | None = None
    lease: bool = False
    last: bool = False
    floor: int = 0


class World(NamedTuple):
    """Everything there is; `flushes` and `crashes` are how many may still happen."""

    store: Version
    entry: Version | None
    floor: int
    flushes: int
    crashes: int
    processes: tuple[Process, ...]


class Stale(Exception):
    """A read returned something older than the floor."""


class Walked(NamedTuple):
    """How many worlds there were, and the way to one in which the promise is broken, if any."""

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
    """Goes to every world that those processes can reach; stops at a broken promise.

    Args:
        kinds: what the processes do.
        fault: one of `FAULTS`, or None.
        flushes: how often the cache may be emptied.
        crashes: how many processes may end in the middle of their work.
        strict: reads raise the floor under a flush too, which is more than is promised.
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
    """What can happen in a world: the protocol, or the protocol with one fault.

    Args:
        fault: one of `FAULTS`, or None.
        acked_only: only answered writes raise the floor.
    """

    def __init__(self, fault: str | None, *, acked_only: bool) -> None:
        self._fault = fault
        self._acked_only = acked_only

    def after(self, world: World) -> Iterator[World]:
        """Every world that one step leads to.

        Raises:
            Stale: one of them would be a read that breaks the promise.
        """
        if world.flushes:
            without = [process._replace(lease=False) for process in world.processes]
            yield _made(world, without, entry=None, flushes=world.flushes - 1)
        for at, process in enumerate(world.processes):
            if at and process == world.processes[at - 1]:
                continue  # its twin has just done the same
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
        """What follows a compare-and-set: another attempt when it failed, else the answer."""
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
        """Gives the lease back; `then` is what becomes of the process."""
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
        """What the cache keeps of it."""
        return version if version.present or self._fault == "absence cached" else None


def _intended(me: Process) -> Version | None:
    """What a writer would commit if nobody came in between; None: nothing."""
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
    """The world with those changes, its processes in an order that does not tell twins apart."""
    return World(
        store or world.store,
        world.entry if entry == "as it was" else entry,
        world.floor,
        world.flushes if flushes is None else flushes,
        world.crashes if crashes is None else crashes,
        tuple(sorted(processes, key=repr)),
    )
