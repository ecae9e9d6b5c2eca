"""Stores: compare-and-set and no more.

Merging, validation, expiry and retries are written once, in the registry. Every write is
conditional on the version that it replaces, or on there being none, so it is correct on one file,
on a primary with replicas, and on engines that certify optimistically. An expired record is a
record like any other here: what comes in its place replaces its version.

`now` is Unix time in whole seconds, a parameter: no store reads a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from guidkeep.errors import StartupError
from guidkeep.urls import Backend, listed, opener_of, redacted

if TYPE_CHECKING:
    from guidkeep.metrics import Metrics
    from guidkeep.record import Query, Record

DEFAULT_URL = "sqlite:///guidkeep.db"


BACKENDS = (
    Backend("sqlite", "sqlite.store:SQLiteStore", ("sqlite:///FILE",), is_shared=False),
    Backend("mysql", "mysql.store:MySQLStore", ("mysql://", "mariadb://"), extra="mysql"),
    Backend(
        "postgresql",
        "postgresql.store:PostgreSQLStore",
        ("postgresql://", "postgres://"),
        extra="postgresql",
    ),
    Backend(
        "mongodb", "mongodb.store:MongoDBStore", ("mongodb://", "mongodb+srv://"), extra="mongodb"
    ),
)
"""The stores: one table. Whoever adds one writes a row here."""


class Counted(NamedTuple):
    """How many records expire before `until`, from the instant on at which the count began."""

    records: int
    until: int


class Openable(Protocol):
    """A backend's class: how its store is opened."""

    @classmethod
    async def open(cls, url: str, *, timeout: float, metrics: Metrics) -> Store:
        """See `open_store`."""
        ...


class Store(Protocol):
    """Where records are kept for good.

    Every call may raise StoreUnavailable, and a write OutcomeUnknown; of a write that raises
    what it should not the outcome counts as unknown too. A write that returned is durable: it
    survives the process and the machine. A write can't be cancelled: if its caller is, that
    reaches the caller when the outcome is certain.
    """

    async def get(self, guid: str) -> Record | None:
        """The record as it is stored, expired or not."""
        ...

    async def insert(self, record: Record) -> bool:
        """Stores a new record. False: one of its GUID is there, expired or not."""
        ...

    async def replace(self, record: Record, version: int) -> bool:
        """Replaces the record of that version. False: the stored version is another, or gone."""
        ...

    async def delete(self, guid: str, version: int) -> bool:
        """Deletes the record of that version. False: the stored version is another, or gone."""
        ...

    async def page(self, query: Query, now: int) -> list[Record]:
        """Live records in GUID order.

        It examines no more records than lie between `after` and `until` (of the user's, if one
        is named), or, with `by_expire`, than expire from `now` on and before `expires_before`.
        """
        ...

    async def skip(self, query: Query, count: int) -> str | None:
        """The GUID of the record that comes so many after `after`; None: there are not so many.

        All records are counted, or, if `query` names a user, all of that user: live or not,
        whatever else it asks. It examines `count` entries of an index, and no record.
        """
        ...

    async def count(self, first: int, before: int, limit: int) -> Counted:
        """Counts records by their `expire`: from `first` on, and before `before`, if that is later.

        It comes as far as `limit` records take it, and to the next second at least; `until` says
        how far. Unix time in whole seconds, all of them.
        """
        ...

    async def purge(self, now: int, limit: int) -> int:
        """Deletes at most `limit` records that are expired at `now`, and says how many."""
        ...

    async def clock(self) -> float | None:
        """Unix time in seconds by the clock of the store's machine; None: it is this machine."""
        ...

    async def ping(self) -> None:
        """Raises StoreUnavailable if the store can't be read."""
        ...

    async def close(self) -> None:
        """Finishes what was begun and lets go of the store."""
        ...


def until(found: int | None, first: int, before: int) -> int:
    """How far a count comes.

    Args:
        found: `expire` of the record after the `limit` that are counted at most; None: there are
            no more before `before`.
        first: where the count begins.
        before: where it ends at the latest.
    """
    return before if found is None else max(found, first + 1)


async def open_store(url: str, *, timeout: float, metrics: Metrics) -> Store:
    """The store that `url` names.

    Args:
        url: begins as a row of `BACKENDS` says, or as an installed package has it, by an entry
            point in the group `guidkeep.stores`; each store's file tells what its URL may say.
        timeout: seconds after which an operation is given up.
        metrics: what the store counts goes there.

    Raises:
        StartupError: no such store, or it can't be used; the message says why.
    """
    made: Openable | None = opener_of(url, BACKENDS, __name__)
    if made is None:
        raise StartupError(
            f"No store is named by {redacted(url)!r}; there are {listed(BACKENDS, 'and')}."
        )
    return await made.open(url, timeout=timeout, metrics=metrics)
