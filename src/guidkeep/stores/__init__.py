"""Stores: compare-and-set and no more.

Merging, validation, expiry and retries are written once, in the registry. Every write is
conditional on the version that it replaces, or on the absence of a record. So it is correct on one
file, on a primary with replicas, and on engines that certify optimistically. A store treats an
expired record like any other: a new record in its place replaces its version.

`now` is Unix time in whole seconds and always a parameter: no store reads a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from guidkeep.backends import Backend, listed, opener_of
from guidkeep.errors import StartupError
from guidkeep.urls import redacted

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
"""The stores. A new store is a new row."""


class Counted(NamedTuple):
    """The result of a count.

    Attributes:
        records: the number of records that expire before `until`, from the start of the count on.
        until: the end of the count, Unix time in whole seconds; exclusive.
    """

    records: int
    until: int


class Openable(Protocol):
    """The class of a store, which opens it.

    Two more attributes have defaults. `is_shared` says that several processes can open the store
    at once, False by default; a row of `BACKENDS` says it instead, so that no driver is imported.
    `path_of(url)` returns the file of a store that creates a missing file, so that a copy from it
    can refuse a wrong name.
    """

    @classmethod
    async def open(cls, url: str, *, timeout: float, metrics: Metrics) -> Store:
        """See `open_store`."""
        ...


class Store(Protocol):
    """Keeps the records durably.

    Every call may raise StoreUnavailable, and a write OutcomeUnknown. If a write raises any other
    error, its outcome counts as unknown too. A write that returned is durable: it survives the
    process and the machine. A write can't be cancelled: the cancellation of a caller takes effect
    when the outcome is certain.
    """

    async def get(self, guid: str) -> Record | None:
        """Returns the record as it is stored, expired or not."""
        ...

    async def insert(self, record: Record) -> bool:
        """Stores a new record. False: the GUID has a record already, expired or not."""
        ...

    async def replace(self, record: Record, version: int) -> bool:
        """Replaces the record if it has that version. False: it has another, or is gone."""
        ...

    async def delete(self, guid: str, version: int) -> bool:
        """Deletes the record if it has that version. False: it has another, or is gone."""
        ...

    async def page(self, query: Query, now: int) -> list[Record]:
        """Returns live records in GUID order.

        The store examines at most the records between `after` and `until` (of the query's user,
        if there is one). With `by_expire` it examines at most the records that expire from `now`
        on and before `expires_before`.
        """
        ...

    async def skip(self, query: Query, count: int) -> str | None:
        """Returns the GUID of the record `count` places after `after`; None: there are fewer.

        Live and expired records count, either all of them or all of the query's user. The other
        conditions of the query do not matter. The store examines `count` entries of an index, and
        no record.
        """
        ...

    async def count(self, first: int, before: int, limit: int) -> Counted:
        """Counts the records whose `expire` is at least `first` and less than `before`.

        The count ends after about `limit` records, but covers one second at least; `until` in the
        result is its end. All times are Unix time in whole seconds.
        """
        ...

    async def purge(self, now: int, limit: int) -> int:
        """Deletes at most `limit` records that are expired at `now`; returns their number."""
        ...

    async def clock(self) -> float | None:
        """Returns the Unix time in seconds on the store's machine; None: it is this machine."""
        ...

    async def ping(self) -> None:
        """Raises StoreUnavailable if the store can't be read."""
        ...

    async def close(self) -> None:
        """Finishes the calls that have begun, and closes the store."""
        ...


def until(found: int | None, first: int, before: int) -> int:
    """Returns the end of a count.

    Args:
        found: `expire` of the record that follows the first `limit` records; None: there are no
            more before `before`.
        first: the start of the count.
        before: its end at the latest.
    """
    return before if found is None else max(found, first + 1)


async def open_store(url: str, *, timeout: float, metrics: Metrics) -> Store:
    """Opens the store at `url`.

    Args:
        url: its scheme is in `BACKENDS`, or an installed package registers it by an entry point
            in the group `guidkeep.stores`. The module of each store describes its URL.
        timeout: seconds after which an operation is given up.
        metrics: receives the store's metrics.

    Raises:
        StartupError: there is no such store, or it can't be used; the message gives the reason.
    """
    return await _class_of(url).open(url, timeout=timeout, metrics=metrics)


def require_file(url: str) -> None:
    """Refuses the URL of a missing file, which opening would create.

    Raises:
        StartupError: there is no such file, or no such store.
    """
    path_of = getattr(_class_of(url), "path_of", None)
    if path_of and not (path := path_of(url)).exists():
        raise StartupError(f"There is no file {path}.")


def _class_of(url: str) -> Openable:
    found: Openable | None = opener_of(url, BACKENDS, __name__)
    if found is None:
        raise StartupError(
            f"No store is named by {redacted(url)!r}; there are {listed(BACKENDS, 'and')}."
        )
    return found
