"""MySQL, MariaDB, and servers with the same protocol: Galera, Vitess, TiDB.

`mysql://user:password@host:port/database?connections=12&ssl-mode=verify-identity&ssl-ca=FILE`:
`connections` is the number of connections at most; `guidkeep.stores.mysql.tls` describes the other
parameters. `host1:port1,host2:port2` are the servers of one cluster, all of them writable; see
`guidkeep.stores.mysql.adapter`.

*Every statement is a transaction.* Its condition is in its own WHERE, on rows found by their
primary key, so it is right under any isolation level and on engines that certify. The store counts
matched rows, not changed ones.

*Batches.* New records that arrive together become one INSERT of many rows, sorted by GUID so that
no two INSERTs wait for each other. The server does it wholly or not at all. If some GUIDs have
records already, the store finds these and sends the others again. Reads share batches too.
Replacements and deletions go alone, each with its own condition, several at once.

*Time.* An operation is given up at its deadline, whether it waits for its batch or is under way. A
write that was under way may still happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guidkeep.errors import StartupError, StoreUnavailable, unwritable
from guidkeep.stores.mysql import statements
from guidkeep.stores.mysql.adapter import CODES, CONFLICTS, DUPLICATE, Adapter, Rows
from guidkeep.stores.mysql.schema import prepare
from guidkeep.stores.mysql.statements import Row, record_of
from guidkeep.stores.mysql.tls import tls_of
from guidkeep.stores.remote.base import RemoteStore, Share, divided, first_of
from guidkeep.stores.remote.failures import Failure, NotSent, write_error
from guidkeep.stores.remote.pool import Pool
from guidkeep.stores.remote.starting import started, take_connections
from guidkeep.urls import Address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guidkeep.metrics import Metrics
    from guidkeep.record import Query, Record
    from guidkeep.stores.remote.base import Done, Write

PORT = 3306
CONNECTIONS = 12
BATCH_LIMIT = 256
"""Operations in a batch at most; MariaDB changes its plan for lists of a thousand keys."""
BATCHES = 2
"""Batches of one kind under way at most: a batch that waits for a lock does not hold up all others.
A higher number makes smaller batches, and fewer writes a second."""
BATCH_BYTES = 1 << 20
"""Bytes of an INSERT of many rows at most: little beside the usual max_allowed_packet, 16 MiB."""
ATTEMPTS = 5
"""Attempts to insert a record if its GUID had one at the INSERT but none at the look after it."""

_ADVICE = {
    "1044": "The user needs privileges for the database.",
    "1045": "User or password is wrong.",
    "1049": "The database must exist: CREATE DATABASE.",
    "1142": "The user needs SELECT, INSERT, UPDATE, DELETE and, the first time, CREATE.",
    "1290": "The server is read-only: name the primary.",
}

_USE_TLS = "write ?ssl-mode=verify-identity, or required."
_WITHOUT_TLS = {
    # An account, or MariaDB itself, may demand encryption without saying so in the error.
    "1045": f"User or password is wrong; or the server demands encryption: {_USE_TLS}",
    "3159": f"The server demands encryption: {_USE_TLS}",
}


if TYPE_CHECKING:
    Inserts = Mapping[int, Write]
    Results = dict[int, Done]
    """Outcomes by the place in the batch; a write that is not decided yet has none."""


class MySQLStore(RemoteStore):
    """See the module's text. Made by `open`."""

    def __init__(
        self, pool: Pool[str, Rows], *, size: int, largest: int, timeout: float, metrics: Metrics
    ) -> None:
        self._pool = pool
        self._largest = largest
        batches = Share(BATCH_LIMIT, BATCHES)
        changes = Share(at_once=max(1, size * 3 // 4))
        super().__init__(
            timeout=timeout, metrics=metrics, reads=batches, inserts=batches, changes=changes
        )

    @classmethod
    async def open(cls, url: str, *, timeout: float, metrics: Metrics) -> MySQLStore:
        """Connects to the server at `url`, and makes or checks the tables.

        Raises:
            StartupError: the URL is wrong, the server is unreachable or refuses the user, or the
                database is not for this Guidkeep.
        """
        address = Address.parse(url, port=PORT, several=True)
        size = take_connections(address, CONNECTIONS)
        tls = tls_of(address)
        address.refuse_the_rest()
        if not address.database:
            raise StartupError(f"{address} names no database: mysql://user:password@host/database.")
        pool = Pool(Adapter(address, tls=tls, timeout=timeout), size=size, timeout=timeout)

        async def attempt(deadline: float) -> int:
            return await prepare(pool, place=str(address), deadline=deadline)

        def advice(failure: Failure) -> str:
            known = _ADVICE if tls is not None else _ADVICE | _WITHOUT_TLS
            return known.get(failure.code, "")

        try:
            largest = await started(
                attempt, codes=CODES, place=str(address), timeout=timeout, advice=advice
            )
        except BaseException:
            await pool.close()
            raise
        return cls(pool, size=size, largest=largest, timeout=timeout, metrics=metrics)

    async def _leave(self) -> None:
        await self._pool.close()

    async def _read(self, guids: Sequence[bytes], deadline: float) -> Sequence[Record | None]:
        rows = await self._ask(statements.read(set(guids)), deadline)
        found = {row[0]: record_of(*row) for row in rows}
        return [found.get(guid) for guid in guids]

    async def _page(self, query: Query, now: int, deadline: float) -> list[Record]:
        return [record_of(*row) for row in await self._ask(statements.page(query, now), deadline)]

    async def _skip(self, query: Query, count: int, deadline: float) -> bytes | None:
        guid: bytes | None = first_of(await self._ask(statements.skip(query, count), deadline))
        return guid

    async def _expire_after(
        self, first: int, before: int, limit: int, deadline: float
    ) -> int | None:
        rows = await self._ask(statements.following(first, before, limit), deadline)
        expire: int | None = first_of(rows)
        return expire

    async def _expiring(self, first: int, before: int, deadline: float) -> int:
        [[records]] = await self._ask(statements.count(first, before), deadline)
        return int(records)

    async def _clock(self, deadline: float) -> float:
        [[now]] = await self._ask(statements.CLOCK, deadline)
        return float(now)

    def _row(self, record: Record) -> Row:
        return Row.of(record)

    async def _change(self, writes: Sequence[Write], deadline: float) -> Sequence[Done]:
        [(guid, version, row)] = writes
        assert version is not None  # noqa: S101 - for mypy: a change names the version it replaces
        if row is None:
            statement = statements.delete(guid, version)
        else:
            statement = statements.replace(row, version)
        return [bool((await self._run(statement, deadline)).matched)]

    async def _purge(self, now: int, limit: int, deadline: float) -> int:
        expired = await self._ask(statements.expired(now, limit), deadline)
        guids = sorted(guid for [guid] in expired)
        purged = 0
        for at in range(0, len(guids), BATCH_LIMIT):
            some = guids[at : at + BATCH_LIMIT]
            purged += (await self._run(statements.purge(some, now), deadline)).matched
        return purged

    async def _insert(self, writes: Sequence[Write], deadline: float) -> Sequence[Done]:
        waiting = dict(enumerate(writes))
        results: Results = {}
        for _ in range(ATTEMPTS):
            for step in (self._put, self._face):
                if waiting:
                    results |= await step(waiting, deadline)
                    waiting = {at: each for at, each in waiting.items() if at not in results}
        crowd = StoreUnavailable("Other requests keep changing this GUID; nothing was written.")
        return [results.get(at, crowd) for at in range(len(writes))]

    async def _put(self, inserts: Inserts, deadline: float) -> Results:
        """Writes the first record of each GUID; no result if an INSERT met another record."""
        firsts: dict[bytes, int] = {}
        for at, insert in inserts.items():
            firsts.setdefault(insert.guid, at)
        rows = [(firsts[guid], inserts[firsts[guid]].row) for guid in sorted(firsts)]
        results: Results = {}
        for some in divided(rows, lambda item: item[1].size, BATCH_BYTES):
            results |= await self._put_together(dict(some), deadline)
        return results

    async def _put_together(self, rows: Mapping[int, Row], deadline: float) -> Results:
        """Writes all or none; each alone if all together lose against others repeatedly."""
        try:
            await self._run(statements.insert(rows.values()), deadline)
        except Failure as failure:
            if failure.code == DUPLICATE:
                return {}
            if failure.code not in CONFLICTS or len(rows) == 1:
                return dict.fromkeys(rows, write_error(failure))
        else:
            return dict.fromkeys(rows, True)
        results: Results = {}
        for at, row in rows.items():
            results |= await self._put_together({at: row}, deadline)
        return results

    async def _face(self, inserts: Inserts, deadline: float) -> Results:
        """Gives False for each GUID that has a record; no result for the others."""
        statement = statements.present({insert.guid for insert in inserts.values()})
        try:
            rows = await self._ask(statement, deadline)
        except Failure:
            return dict.fromkeys(inserts, unwritable())
        there = {guid for [guid] in rows}
        return {at: False for at, insert in inserts.items() if insert.guid in there}

    async def _ask(self, statement: str, deadline: float) -> Sequence[tuple[Any, ...]]:
        """Runs a read and returns its rows."""
        return (await self._run(statement, deadline, is_read=True)).rows

    async def _run(self, statement: str, deadline: float, *, is_read: bool = False) -> Rows:
        if len(statement) >= self._largest:
            raise NotSent(f"{len(statement)} bytes are more than max_allowed_packet allows")
        return await self._pool.run(statement, deadline, repeatable=is_read)
