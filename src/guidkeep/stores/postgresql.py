"""PostgreSQL, or what speaks as it does, over asyncpg.

Its URL: `postgresql://user:password@host:port/database?parameters`. The parameters:

- `pool_size`: connections at most, 1 to 100; 8 unless given.
- `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `sslpassword`, `sslcrl`,
  `ssl_min_protocol_version`, `ssl_max_protocol_version`: as libpq has them. With `sslmode`
  `verify-full` the server's certificate and name are checked; without one, TLS is used where the
  server offers it, and nothing is checked.

*Operations travel in rounds* (see `guidkeep.rounds`): one statement reads, or inserts, whatever
came in one turn of the event loop; one transaction, in one round trip, has its replacements, or its
deletions. So a commit, which waits for the disk, is shared by many. Rows are written in GUID order,
so that rounds of several nodes don't deadlock; if they do, or are not serializable, they are tried
again. If a round fails for what may be the fault of one of its writes, each goes alone.

What travels is in `guidkeep.stores.postgresql_writes`, what a failure means for it in
`guidkeep.stores.postgresql_pool`, the tables in `guidkeep.stores.postgresql_schema`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import structlog

from guidkeep.addresses import Address
from guidkeep.errors import StartupError, StoreUnavailable
from guidkeep.record import Record
from guidkeep.rounds import Rounds
from guidkeep.stores import Counted, until
from guidkeep.stores.postgresql_pool import Failure, Pool, asyncpg, end
from guidkeep.stores.postgresql_schema import prepare, reached
from guidkeep.stores.postgresql_writes import Write, Writes, write_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from guidkeep.metrics import Metrics
    from guidkeep.record import Query

log = structlog.get_logger("guidkeep.stores.postgresql")

PORT = 5432
ROUND_LIMIT = 256
POOL_SIZE = 8
"""More connections write no faster: they wait for the same disk."""

_TLS = (
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)

_GET = """
SELECT guid, expire, version, metadata FROM record WHERE guid = ANY ($1::text[]::bytea[])
"""
_NEXT = """
SELECT expire FROM record WHERE expire >= $1::bigint AND expire < $2::bigint
ORDER BY expire LIMIT 1 OFFSET $3::bigint
"""
_COUNT = "SELECT count(*) FROM record WHERE expire >= $1::bigint AND expire < $2::bigint"
_PAGE = "SELECT guid, expire, version, metadata FROM record WHERE {} ORDER BY guid LIMIT $1::bigint"


class _Timed(NamedTuple):
    """An operation that waits for its round, and since when, in the loop's time."""

    since: float
    work: Any


class PostgreSQLStore:
    """See the module's text. Made by `open`."""

    def __init__(self, pool: Pool, *, size: int, timeout: float, metrics: Metrics) -> None:
        self._pool = pool
        self._timeout = timeout
        self._now = asyncio.get_running_loop().time
        some = max(1, size // 4)

        def rounds(
            kind: str,
            run: Callable[[Sequence[Any], float], Awaitable[Sequence[Any]]],
            limit: int = ROUND_LIMIT,
            at_once: int = some,
        ) -> Rounds[_Timed, Any]:
            return Rounds(
                lambda items: run([item.work for item in items], items[0].since + timeout),
                limit=limit,
                at_once=at_once,
                patience=timeout / 2,  # so that there is as long to do it
                too_late=self._too_late,
                observe=metrics.observe_group(kind),
            )

        self._gets = rounds("read", self._read)
        writes = Writes(pool)
        self._inserts = rounds("write", writes.inserts)
        self._replaces = rounds("write", writes.replaces)
        self._deletes = rounds("write", writes.deletes)
        self._purges = rounds("write", writes.purge, limit=1, at_once=1)
        self._pages = rounds("list", self._list, limit=1)
        self._counts = rounds("count", self._count, limit=1, at_once=1)

    @classmethod
    async def open(cls, url: str, *, timeout: float, metrics: Metrics) -> PostgreSQLStore:
        """Opens the database that the URL names; makes its tables where there are none.

        Raises:
            StartupError: the URL is wrong, the driver missing, the server not to be reached;
                the tables are a newer version's or none of ours, or the user may not use them.
        """
        address = Address.parse(url, port=PORT)
        size = address.take("pool_size", _pool_size, str(POOL_SIZE))
        tls = {name: address.parameters.pop(name) for name in _TLS if name in address.parameters}
        address.refuse_the_rest()
        if not address.database:
            raise StartupError(f"{str(address)!r} names no database: postgresql://host/database.")

        async def connect(seconds: float) -> Any:
            return await asyncpg.connect(
                f"postgresql:///?{urlencode(tls)}" if tls else None,
                host=address.host,
                port=address.port,
                user=address.user or None,
                password=address.password or None,
                database=address.database,
                timeout=seconds,
                statement_cache_size=0,  # a proxy may give each statement another connection
            )

        first = await reached(connect, address, timeout)
        try:
            await prepare(first, address, timeout)
        finally:
            await end(first)
        return cls(Pool(connect, size=size), size=size, timeout=timeout, metrics=metrics)

    async def get(self, guid: str) -> Record | None:
        """The record as it is stored, expired or not."""
        found: Record | None = await self._gets.submit(self._timed(guid))
        return found

    async def insert(self, record: Record) -> bool:
        """Stores a new record. False: one of its GUID is there, expired or not."""
        done: bool = await self._inserts.submit(self._timed(write_of(record, None)))
        return done

    async def replace(self, record: Record, version: int) -> bool:
        """Replaces the record of that version. False: the stored version is another, or gone."""
        done: bool = await self._replaces.submit(self._timed(write_of(record, version)))
        return done

    async def delete(self, guid: str, version: int) -> bool:
        """Deletes the record of that version. False: the stored version is another, or gone."""
        write = Write(bytes.fromhex(guid), version)
        done: bool = await self._deletes.submit(self._timed(write))
        return done

    async def page(self, query: Query, now: int) -> list[Record]:
        """Live records in GUID order."""
        found: list[Record] = await self._pages.submit(self._timed((query, now)))
        return found

    async def count(self, first: int, before: int, limit: int) -> Counted:
        """Counts records by their `expire`, about `limit` of them, along the index."""
        counted: Counted = await self._counts.submit(self._timed((first, before, limit)))
        return counted

    async def purge(self, now: int, limit: int) -> int:
        """Deletes at most `limit` records that are expired at `now`, and says how many."""
        count: int = await self._purges.submit(self._timed((now, limit)))
        return count

    async def ping(self) -> None:
        """Raises StoreUnavailable if the table can't be read."""
        await self.get("0" * 32)

    async def close(self) -> None:
        """Waits for what was handed in, and closes the connections."""
        for rounds in (
            self._gets,
            self._pages,
            self._counts,
            self._inserts,
            self._replaces,
            self._deletes,
            self._purges,
        ):
            await rounds.close()
        await self._pool.close()

    def _timed(self, work: Any) -> _Timed:
        return _Timed(self._now(), work)

    def _too_late(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"The store could not begin within {self._timeout / 2:g} s; nothing was written."
        )

    # Reading.

    async def _read(self, guids: Sequence[str], until: float) -> Sequence[Record | None]:
        wanted = [f"\\x{guid}" for guid in dict.fromkeys(guids)]
        rows = await self._ask(_GET, wanted, until=until)
        found = {record.guid: record for record in _records(rows)}
        return [found.get(guid) for guid in guids]

    async def _list(
        self, queries: Sequence[tuple[Query, int]], until: float
    ) -> Sequence[list[Record]]:
        [(query, now)] = queries
        where, values = ["expire > $2::bigint"], [query.limit, now]
        for condition, value in _conditions(query):
            values.append(value)
            where.append(condition.format(f"${len(values)}"))
        rows = await self._ask(_PAGE.format(" AND ".join(where)), *values, until=until)
        return [list(_records(rows))]

    async def _count(
        self, steps: Sequence[tuple[int, int, int]], give_up: float
    ) -> Sequence[Counted]:
        [(first, before, limit)] = steps
        found = await self._ask(_NEXT, first, before, limit, until=give_up)
        end = until(found[0][0] if found else None, first, before)
        [[records]] = await self._ask(_COUNT, first, end, until=give_up)
        return [Counted(records, end)]

    async def _ask(self, statement: str, *arguments: Any, until: float) -> Sequence[Any]:
        try:
            return await self._pool.fetch(statement, *arguments, until=until, repeatable=True)
        except Failure as failure:
            log.error("store failed", error=str(failure))  # noqa: TRY400 - the cause is in it
            raise StoreUnavailable("The store can't be read at the moment.") from failure


def _pool_size(text: str) -> int:
    size = int(text)
    if not 1 <= size <= 100:  # noqa: PLR2004 - the bounds are named in the message
        raise ValueError("It is a number from 1 to 100.")
    return size


def _records(rows: Iterable[Any]) -> Iterator[Record]:
    for guid, expire, version, metadata in rows:
        yield Record(guid.hex().upper(), expire, version, metadata)


def _conditions(query: Query) -> Iterator[tuple[str, Any]]:
    """What a query asks besides liveness: SQL with {} for the parameter, and the parameter."""
    if query.after is not None:
        yield "guid > {}::bytea", bytes.fromhex(query.after)
    if query.user is not None:
        # The hash finds it; the bytes decide.
        yield 'sha256("user") = sha256({0}::bytea) AND "user" = {0}::bytea', query.user.encode()
    if query.expires_before is not None:
        yield "expire < {}::bigint", query.expires_before
