"""PostgreSQL, or a server with the same protocol, over asyncpg.

Its URL: `postgresql://user:password@host:port/database?parameters`. The parameters:

- `connections`: the number of connections at most, 1 to 1000; the default is 8. Its former name,
  `pool_size`, still works.
- `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `sslpassword`, `sslcrl`,
  `ssl_min_protocol_version`, `ssl_max_protocol_version`: as in libpq. With the `sslmode`
  `verify-full` the server's certificate and name are checked, by the system's authorities or those
  in `sslrootcert`. Without an `sslmode`, TLS is used if the server offers it, and nothing is
  checked.

*Operations travel in batches* (see `guidkeep.batching.batcher`). One statement has all reads, or
all inserts, of one event-loop iteration; one transaction, in one round trip, has its replacements,
or its deletions. So many operations share a commit, which waits for the disk. Rows are written in
GUID order, so that batches of several nodes don't deadlock. If they do, or are not serializable,
they are tried again. If the cause of a failure may be a single write of the batch, each goes alone.

The writes are in `guidkeep.stores.postgresql.writes`, the outcomes of failures in
`guidkeep.stores.remote.failures`, the tables in `guidkeep.stores.postgresql.schema`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guidkeep.errors import StartupError
from guidkeep.record import Record
from guidkeep.stores.postgresql import lists
from guidkeep.stores.postgresql.adapter import CODES, Adapter, Statement
from guidkeep.stores.postgresql.schema import advice, prepare
from guidkeep.stores.postgresql.tls import tries_of
from guidkeep.stores.postgresql.writes import Row, Writes
from guidkeep.stores.remote import pool as pools
from guidkeep.stores.remote.base import RemoteStore, Share, first_of
from guidkeep.stores.remote.starting import started, take_connections
from guidkeep.urls import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guidkeep.metrics import Metrics
    from guidkeep.record import Query
    from guidkeep.stores.postgresql.adapter import Pool
    from guidkeep.stores.remote.base import Done, Write

PORT = 5432
BATCH_LIMIT = 256
CONNECTIONS = 8
"""More connections write no faster: they wait for the same disk."""

_GET = """
SELECT guid, expire, version, metadata FROM record WHERE guid = ANY ($1::text[]::bytea[])
"""
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"


class PostgreSQLStore(RemoteStore):
    """See the module's text. Made by `open`."""

    def __init__(self, pool: Pool, *, size: int, timeout: float, metrics: Metrics) -> None:
        self._pool = pool
        self._writes = Writes(pool)
        some = max(1, size // 4)
        batches = Share(BATCH_LIMIT, some)
        super().__init__(
            timeout=timeout,
            metrics=metrics,
            reads=batches,
            inserts=batches,
            changes=batches,
            apart=True,
            lists=some,
        )

    @classmethod
    async def open(cls, url: str, *, timeout: float, metrics: Metrics) -> PostgreSQLStore:
        """Opens the database in the URL; makes its tables if there are none.

        Raises:
            StartupError: the URL is wrong, the driver is missing, or the server is unreachable;
                the tables are of a newer Guidkeep or another program, or the user may not use
                them.
        """
        address = Address.parse(url, port=PORT)
        size = take_connections(address, CONNECTIONS, former="pool_size")
        tries = tries_of(address)
        address.refuse_the_rest()
        if not address.database:
            raise StartupError(f"{str(address)!r} names no database: postgresql://host/database.")
        pool = pools.Pool(Adapter(address, tries), size=size, timeout=timeout)

        async def attempt(deadline: float) -> None:
            await prepare(pool, address, deadline)

        try:
            await started(attempt, codes=CODES, place=str(address), timeout=timeout, advice=advice)
        except BaseException:
            await pool.close()
            raise
        return cls(pool, size=size, timeout=timeout, metrics=metrics)

    async def _leave(self) -> None:
        await self._pool.close()

    async def _read(self, guids: Sequence[bytes], deadline: float) -> Sequence[Record | None]:
        wanted = [f"\\x{guid.hex()}" for guid in dict.fromkeys(guids)]
        found = {row[0]: _record(*row) for row in await self._ask(_GET, wanted, deadline=deadline)}
        return [found.get(guid) for guid in guids]

    def _row(self, record: Record) -> Row:
        return Row.of(record)

    async def _insert(self, writes: Sequence[Write], deadline: float) -> Sequence[Done]:
        return await self._writes.inserts(writes, deadline)

    async def _change(self, writes: Sequence[Write], deadline: float) -> Sequence[Done]:
        if writes[0].row is None:  # so all of them are deletions
            return await self._writes.deletes(writes, deadline)
        return await self._writes.replaces(writes, deadline)

    async def _purge(self, now: int, limit: int, deadline: float) -> int:
        return await self._writes.purge(now, limit, deadline)

    async def _page(self, query: Query, now: int, deadline: float) -> list[Record]:
        statement, arguments = lists.page(query, now)
        rows = await self._ask(statement, *arguments, deadline=deadline)
        return [_record(*row) for row in rows]

    async def _skip(self, query: Query, count: int, deadline: float) -> bytes | None:
        statement, arguments = lists.skip(query, count)
        guid: bytes | None = first_of(await self._ask(statement, *arguments, deadline=deadline))
        return guid

    async def _expire_after(
        self, first: int, before: int, limit: int, deadline: float
    ) -> int | None:
        rows = await self._ask(lists.NEXT, first, before, limit, deadline=deadline)
        expire: int | None = first_of(rows)
        return expire

    async def _expiring(self, first: int, before: int, deadline: float) -> int:
        [[records]] = await self._ask(lists.COUNT, first, before, deadline=deadline)
        return int(records)

    async def _clock(self, deadline: float) -> float:
        [[now]] = await self._ask(_CLOCK, deadline=deadline)
        return float(now)

    async def _ask(self, statement: str, *arguments: Any, deadline: float) -> Sequence[Any]:
        return await self._pool.run(Statement(statement, arguments), deadline, repeatable=True)


def _record(guid: bytes, expire: int, version: int, metadata: str) -> Record:
    return Record(guid.hex().upper(), expire, version, metadata)
