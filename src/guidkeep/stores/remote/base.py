"""The calls of a store on a server: each joins a batch, has a deadline, and fails the same way."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from guidkeep.batching.batcher import Batchers
from guidkeep.stores import Counted, until
from guidkeep.stores.remote.failures import Failure, InDoubt, read_error, write_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from guidkeep.batching.batcher import Batcher
    from guidkeep.errors import StoreUnavailable
    from guidkeep.metrics import Metrics
    from guidkeep.record import Query, Record

    Done = bool | Exception
    """The outcome of a write: whether it was done, or the error to raise."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Write(NamedTuple):
    """A write and its condition.

    Attributes:
        guid: the record's GUID.
        version: the version to replace or delete; None: there must be no record.
        row: the new record, as the engine's statements take it; None: a deletion.
    """

    guid: bytes
    version: int | None
    row: Any = None

    def __repr__(self) -> str:
        """Leaves out the values, so that no log has them."""
        return f"Write({self.guid.hex().upper()}, {self.version})"

    @property
    def condition(self) -> tuple[bytes, int | None]:
        """The write's condition. Of several writes with the same one, only one can succeed."""
        return self.guid, self.version


class Share(NamedTuple):
    """The limits on batches of one kind.

    Attributes:
        limit: operations in a batch at most.
        at_once: batches under way at most.
    """

    limit: int = 1
    at_once: int = 1


class RemoteStore(ABC):
    """A store on a server; a subclass has the engine's statements.

    A subclass gives up a batch at its `deadline`, the event loop's time in seconds. It raises a
    `Failure` for the whole batch, or returns an exception for a single write.

    Args:
        timeout: seconds after which an operation is given up.
        metrics: receives the store's metrics.
        reads: the limits on batches of reads.
        inserts: the limits on batches of new records.
        changes: the limits on batches of replacements and deletions.
        apart: whether replacements and deletions never share a batch.
        lists: calls of `page` under way at once, and as many calls of `skip`.
    """

    def __init__(
        self,
        *,
        timeout: float,
        metrics: Metrics,
        reads: Share,
        inserts: Share,
        changes: Share,
        apart: bool = False,
        lists: int = 1,
    ) -> None:
        self._batchers = Batchers(timeout=timeout, observe=metrics.observe_batch)
        self._reads = self._batcher("read", self._read, read_error, reads)
        self._inserts = self._batcher("write", self._insert, write_error, inserts)
        self._replaces = self._batcher("write", self._change, write_error, changes)
        self._deletes = self._replaces
        if apart:
            self._deletes = self._batcher("write", self._change, write_error, changes)
        share = Share(at_once=lists)
        self._pages = self._batcher("list", _alone(self._page), read_error, share)
        self._skips = self._batcher("list", _alone(self._skip), read_error, share)
        self._counts = self._batcher("count", _alone(self._count), read_error, Share())
        # One at a time: two would find the same records, and together delete half as many.
        self._purges = self._batcher("write", _alone(self._purge), write_error, Share())
        self._clocks = self._batcher("clock", _alone(self._clock), read_error, Share())

    async def get(self, guid: str) -> Record | None:
        """Returns the record as it is stored, expired or not."""
        return await self._reads.submit(bytes.fromhex(guid))

    async def insert(self, record: Record) -> bool:
        """Stores a new record. False: the GUID has a record already, expired or not."""
        return await self._inserts.submit(self._write(record, None))

    async def replace(self, record: Record, version: int) -> bool:
        """Replaces the record if it has that version. False: it has another, or is gone."""
        return await self._replaces.submit(self._write(record, version))

    async def delete(self, guid: str, version: int) -> bool:
        """Deletes the record if it has that version. False: it has another, or is gone."""
        return await self._deletes.submit(Write(bytes.fromhex(guid), version))

    async def page(self, query: Query, now: int) -> list[Record]:
        """Returns live records in GUID order."""
        return await self._pages.submit((query, now))

    async def skip(self, query: Query, count: int) -> str | None:
        """Returns the GUID of the record `count` places after the query's start."""
        guid = await self._skips.submit((query, count))
        return None if guid is None else guid.hex().upper()

    async def count(self, first: int, before: int, limit: int) -> Counted:
        """Counts records by their `expire`, about `limit` of them, along the index."""
        return await self._counts.submit((first, before, limit))

    async def purge(self, now: int, limit: int) -> int:
        """Deletes at most `limit` records that are expired at `now`; returns their number."""
        return await self._purges.submit((now, limit))

    async def clock(self) -> float | None:
        """Returns the server's Unix time in seconds."""
        return await self._clocks.submit(())

    async def ping(self) -> None:
        """Raises StoreUnavailable if the records can't be read."""
        await self._reads.submit(bytes(16))

    async def close(self) -> None:
        """Waits for the operations under way, and closes the connections."""
        await self._batchers.close()
        await self._leave()

    def _batcher(
        self,
        kind: str,
        run: Callable[[Sequence[Item], float], Awaitable[Sequence[Result | Exception]]],
        error_of: Callable[[Failure], StoreUnavailable],
        share: Share,
    ) -> Batcher[Item, Result]:
        async def run_batch(items: Sequence[Item], deadline: float) -> Sequence[Result | Exception]:
            try:
                return await run(items, deadline)
            except Failure as failure:
                raise error_of(failure) from failure
            except asyncio.CancelledError as error:
                # Callers take a cancellation for certain, and a statement may have been sent.
                raise error_of(InDoubt("cancelled")) from error

        def give_up() -> StoreUnavailable:
            # Not `settled` by the batch's end: the server may run a statement later than that.
            return error_of(InDoubt("the batch went on beyond its deadline"))

        return self._batchers.of(
            kind, run_batch, limit=share.limit, at_once=share.at_once, give_up=give_up
        )

    def _write(self, record: Record, version: int | None) -> Write:
        return Write(bytes.fromhex(record.guid), version, self._row(record))

    async def _count(self, first: int, before: int, limit: int, deadline: float) -> Counted:
        found = await self._expire_after(first, before, limit, deadline)
        end = until(found, first, before)
        return Counted(await self._expiring(first, end, deadline), end)

    # The engine's part.

    @abstractmethod
    def _row(self, record: Record) -> Any:
        """Returns the record as the engine's statements take it.

        It is called before the write joins a batch: the records of a whole batch, made in one
        event-loop iteration, would hold up every other request, and an error would fail them all.
        """

    @abstractmethod
    async def _read(self, guids: Sequence[bytes], deadline: float) -> Sequence[Record | None]:
        """Reads records."""

    @abstractmethod
    async def _insert(self, writes: Sequence[Write], deadline: float) -> Sequence[Done]:
        """Stores new records, each if its GUID has none."""

    @abstractmethod
    async def _change(self, writes: Sequence[Write], deadline: float) -> Sequence[Done]:
        """Replaces or deletes records, each if its version is stored."""

    @abstractmethod
    async def _page(self, query: Query, now: int, deadline: float) -> list[Record]:
        """Reads live records in GUID order."""

    @abstractmethod
    async def _skip(self, query: Query, count: int, deadline: float) -> bytes | None:
        """Finds the GUID `count` places after the query's start."""

    @abstractmethod
    async def _expire_after(
        self, first: int, before: int, limit: int, deadline: float
    ) -> int | None:
        """Skips `limit` of the records that expire at `first` or later; returns the next `expire`.

        The records are in the order of their `expire`. None: the next one does not expire before
        `before`, or there is none.
        """

    @abstractmethod
    async def _expiring(self, first: int, before: int, deadline: float) -> int:
        """Counts records that expire from `first` on and before `before`."""

    @abstractmethod
    async def _purge(self, now: int, limit: int, deadline: float) -> int:
        """Deletes at most `limit` expired records; returns their number."""

    @abstractmethod
    async def _clock(self, deadline: float) -> float:
        """Returns the server's Unix time in seconds."""

    @abstractmethod
    async def _leave(self) -> None:
        """Closes the connections; no operation is under way."""


def _alone(
    run: Callable[..., Awaitable[Result]],
) -> Callable[[Sequence[tuple[Any, ...]], float], Awaitable[Sequence[Result]]]:
    """Returns a function that runs a batch of one operation, given as its arguments."""

    async def run_alone(items: Sequence[tuple[Any, ...]], deadline: float) -> Sequence[Result]:
        [arguments] = items
        return [await run(*arguments, deadline)]

    return run_alone


def divided(
    items: Iterable[Item], size_of: Callable[[Item], int], limit: int
) -> Iterator[list[Item]]:
    """Divides items, in order, into lists that fit into one statement each.

    Args:
        items: one item at least.
        size_of: returns the size of an item.
        limit: the largest size of a list. An item that is larger has a list of its own.
    """
    some: list[Item] = []
    size = 0
    for item in items:
        size += size_of(item)
        if some and size > limit:
            yield some
            some, size = [], size_of(item)
        some.append(item)
    yield some


def first_of(rows: Sequence[Any]) -> Any:
    """Returns the first column of the first row; None: there is no row."""
    return rows[0][0] if rows else None
