"""PostgreSQL, or what speaks as it does, over asyncpg.

Its URL: `postgresql://user:password@host:port/database?parameters`. The parameters:

- `connections`: at most so many, 1 to 1000; 8 unless given. It was once called `pool_size`,
  and may still be.
- `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `sslpassword`, `sslcrl`,
  `ssl_min_protocol_version`, `ssl_max_protocol_version`: as libpq has them. With `sslmode`
  `verify-full` the server's certificate and name are checked, by the system's authorities or those
  in `sslrootcert`; without one, TLS is used where the server offers it, and nothing is checked.

*Operations travel in rounds* (see `guidkeep.batching.batcher`): one statement reads, or inserts,
whatever came in one turn of the event loop; one transaction, in one round trip, has its
replacements, or its deletions. So a commit, which waits for the disk, is shared by many. Rows are
written in GUID order, so that rounds of several nodes don't deadlock; if they do, or are not
serializable, they are tried again. If a round fails for what may be the fault of one of its writes,
each goes alone.

What travels is in `guidkeep.stores.postgresql.writes`, what a failure means for it in
`guidkeep.stores.remote.failures`, the tables in `guidkeep.stores.postgresql.schema`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guidkeep.batching.batcher import Batchers
from guidkeep.errors import StartupError
from guidkeep.record import Record
from guidkeep.stores import Counted, until
from guidkeep.stores.postgresql import lists
from guidkeep.stores.postgresql.driver import CODES, Driver, Statement
from guidkeep.stores.postgresql.schema import advice, prepare
from guidkeep.stores.postgresql.tls import tries_of
from guidkeep.stores.postgresql.writes import Write, Writes, write_of
from guidkeep.stores.remote import pool as pools
from guidkeep.stores.remote.failures import Failure, read_error
from guidkeep.stores.remote.starting import started, take_connections
from guidkeep.urls import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from guidkeep.metrics import Metrics
    from guidkeep.record import Query
    from guidkeep.stores.postgresql.driver import Pool

PORT = 5432
ROUND_LIMIT = 256
CONNECTIONS = 8
"""More connections write no faster: they wait for the same disk."""

_GET = """
SELECT guid, expire, version, metadata FROM record WHERE guid = ANY ($1::text[]::bytea[])
"""
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"


class PostgreSQLStore:
    """See the module's text. Made by `open`."""

    def __init__(self, pool: Pool, *, size: int, timeout: float, metrics: Metrics) -> None:
        self._pool = pool
        self._batchers = batchers = Batchers(timeout=timeout, observe=metrics.observe_batch)
        writes, some = Writes(pool), max(1, size // 4)
        self._gets = batchers.of("read", self._read, limit=ROUND_LIMIT, at_once=some)
        self._inserts = batchers.of("write", writes.inserts, limit=ROUND_LIMIT, at_once=some)
        self._replaces = batchers.of("write", writes.replaces, limit=ROUND_LIMIT, at_once=some)
        self._deletes = batchers.of("write", writes.deletes, limit=ROUND_LIMIT, at_once=some)
        self._purges = batchers.of("write", writes.purge)
        self._pages = batchers.of("list", self._list, at_once=some)
        self._skips = batchers.of("list", self._skip, at_once=some)
        self._counts = batchers.of("count", self._count)
        self._clocks = batchers.of("clock", self._clock)

    @classmethod
    async def open(cls, url: str, *, timeout: float, metrics: Metrics) -> PostgreSQLStore:
        """Opens the database that the URL names; makes its tables where there are none.

        Raises:
            StartupError: the URL is wrong, the driver missing, the server not to be reached;
                the tables are a newer version's or none of ours, or the user may not use them.
        """
        address = Address.parse(url, port=PORT)
        size = take_connections(address, CONNECTIONS, former="pool_size")
        tries = tries_of(address)
        address.refuse_the_rest()
        if not address.database:
            raise StartupError(f"{str(address)!r} names no database: postgresql://host/database.")
        pool = pools.Pool(Driver(address, tries), size=size)

        async def attempt(until: float) -> None:
            await prepare(pool, address, until)

        try:
            await started(attempt, codes=CODES, place=str(address), timeout=timeout, advice=advice)
        except BaseException:
            await pool.close()
            raise
        return cls(pool, size=size, timeout=timeout, metrics=metrics)

    async def get(self, guid: str) -> Record | None:
        """The record as it is stored, expired or not."""
        return await self._gets.submit(guid)

    async def insert(self, record: Record) -> bool:
        """Stores a new record. False: one of its GUID is there, expired or not."""
        return await self._inserts.submit(write_of(record, None))

    async def replace(self, record: Record, version: int) -> bool:
        """Replaces the record of that version. False: the stored version is another, or gone."""
        return await self._replaces.submit(write_of(record, version))

    async def delete(self, guid: str, version: int) -> bool:
        """Deletes the record of that version. False: the stored version is another, or gone."""
        return await self._deletes.submit(Write(bytes.fromhex(guid), version))

    async def page(self, query: Query, now: int) -> list[Record]:
        """Live records in GUID order."""
        return await self._pages.submit((query, now))

    async def skip(self, query: Query, count: int) -> str | None:
        """The GUID of the record that comes so many after the query's."""
        return await self._skips.submit((query, count))

    async def count(self, first: int, before: int, limit: int) -> Counted:
        """Counts records by their `expire`, about `limit` of them, along the index."""
        return await self._counts.submit((first, before, limit))

    async def purge(self, now: int, limit: int) -> int:
        """Deletes at most `limit` records that are expired at `now`, and says how many."""
        return await self._purges.submit((now, limit))

    async def clock(self) -> float | None:
        """Unix time in seconds by the server's clock."""
        return await self._clocks.submit(None)

    async def ping(self) -> None:
        """Raises StoreUnavailable if the table can't be read."""
        await self.get("0" * 32)

    async def close(self) -> None:
        """Waits for what was handed in, and closes the connections."""
        await self._batchers.close()
        await self._pool.close()

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
        statement, arguments = lists.page(query, now)
        rows = await self._ask(statement, *arguments, until=until)
        return [list(_records(rows))]

    async def _skip(self, skips: Sequence[tuple[Query, int]], until: float) -> Sequence[str | None]:
        [(query, count)] = skips
        statement, arguments = lists.skip(query, count)
        rows = await self._ask(statement, *arguments, until=until)
        return [rows[0][0].hex().upper() if rows else None]

    async def _count(
        self, steps: Sequence[tuple[int, int, int]], give_up: float
    ) -> Sequence[Counted]:
        [(first, before, limit)] = steps
        found = await self._ask(lists.NEXT, first, before, limit, until=give_up)
        end = until(found[0][0] if found else None, first, before)
        [[records]] = await self._ask(lists.COUNT, first, end, until=give_up)
        return [Counted(records, end)]

    async def _clock(self, asked: Sequence[None], until: float) -> Sequence[float]:
        [[now]] = await self._ask(_CLOCK, until=until)
        return [float(now)] * len(asked)

    async def _ask(self, statement: str, *arguments: Any, until: float) -> Sequence[Any]:
        try:
            return await self._pool.run(Statement(statement, arguments), until, repeatable=True)
        except Failure as failure:
            raise read_error(failure) from failure


def _records(rows: Iterable[Any]) -> Iterator[Record]:
    for guid, expire, version, metadata in rows:
        yield Record(guid.hex().upper(), expire, version, metadata)
