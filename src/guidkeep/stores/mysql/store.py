"""MySQL and MariaDB, and what speaks their protocol: Galera, Vitess, TiDB.

`mysql://user:password@host:port/database?connections=12&ssl-mode=verify-identity&ssl-ca=FILE`:
`connections` bounds their number; for the others see `mysql_tls`. `host1:port1,host2:port2` are
nodes of one cluster, all of which may be written to; see `mysql_connections`.

*Every statement is a transaction.* What it depends on is in its own WHERE, on rows found by their
primary key, so it is right under any isolation level and on engines that certify. Matched rows
are counted, not changed ones.

*Groups.* New records that arrive together go in as one INSERT of many rows, sorted by GUID so that
no two of them wait for each other. It is done wholly or not at all: where it meets a GUID that is
there already, that is looked at, and the others are sent again. Reads travel together too.
Replacements and deletions go alone, each on its own condition, several at once.

*Time.* An operation is given up the time-out after it came (`until`, the loop's time), whether it
waits for its round or is on the way. A write that was on the way then may still happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from guidkeep.batching.batcher import Batchers
from guidkeep.errors import StartupError, StoreUnavailable, unwritable
from guidkeep.stores import Counted, until
from guidkeep.stores.mysql import statements
from guidkeep.stores.mysql.driver import CODES, CONFLICTS, DUPLICATE, Driver, Rows
from guidkeep.stores.mysql.schema import prepare
from guidkeep.stores.mysql.statements import Row, record_of
from guidkeep.stores.mysql.tls import tls_of
from guidkeep.stores.remote.failures import Failure, NotSent, read_error, write_error
from guidkeep.stores.remote.pool import Pool
from guidkeep.stores.remote.starting import started, take_connections
from guidkeep.urls import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from guidkeep.metrics import Metrics
    from guidkeep.record import Query, Record

PORT = 3306
CONNECTIONS = 12
GROUP_LIMIT = 256
"""Operations in a round; MariaDB changes its plan for lists of a thousand keys."""
GROUPS = 2
"""Rounds of one kind on their way: one that has to wait for a lock does not hold up all others.
More make smaller groups, and fewer writes a second."""
GROUP_BYTES = 1 << 20
"""Of an INSERT of many rows: little beside the usual max_allowed_packet of 16 MiB."""
ATTEMPTS = 5
"""Tries of new records that meet others which are gone again when they are looked at."""

_ADVICE = {
    "1044": "The user needs privileges for the database.",
    "1045": "User or password is wrong.",
    "1049": "The database must exist: CREATE DATABASE.",
    "1142": "The user needs SELECT, INSERT, UPDATE, DELETE and, the first time, CREATE.",
    "1290": "The server only reads: name the primary.",
}

_USE_TLS = "say ?ssl-mode=verify-identity, or required."
_WITHOUT_TLS = {
    # An account, and MariaDB itself, may take encrypted connections alone, and say no more.
    "1045": f"User or password is wrong; or what is not encrypted is refused: {_USE_TLS}",
    "3159": f"What is not encrypted is refused: {_USE_TLS}",
}


class _Insert(NamedTuple):
    guid: bytes
    row: Row


if TYPE_CHECKING:
    Inserts = Mapping[int, _Insert]
    Results = dict[int, bool | Exception]
    """By the place in their round; what is not decided yet has none."""


class MySQLStore:
    """See the module's text. Made by `open`."""

    def __init__(
        self,
        pool: Pool[str, Rows],
        *,
        size: int,
        largest: int,
        timeout: float,
        metrics: Metrics,
    ) -> None:
        self._pool = pool
        self._largest = largest
        self._batchers = batchers = Batchers(timeout=timeout, observe=metrics.observe_batch)
        self._reads = batchers.of("read", self._read, limit=GROUP_LIMIT, at_once=GROUPS)
        self._inserts = batchers.of("write", self._insert, limit=GROUP_LIMIT, at_once=GROUPS)
        self._changes = batchers.of("write", self._change, at_once=max(1, size * 3 // 4))
        # One at a time: two would choose the same rows; and a long list holds up lists alone.
        self._purges = batchers.of("write", self._purge)
        self._lists = batchers.of("list", self._list)
        self._skips = batchers.of("list", self._skip)
        self._counts = batchers.of("count", self._count)
        self._clocks = batchers.of("clock", self._clock)

    @classmethod
    async def open(cls, url: str, *, timeout: float, metrics: Metrics) -> MySQLStore:
        """Connects to the server that `url` names, and makes or checks the tables.

        Raises:
            StartupError: the URL is wrong, the server can't be reached or refuses the user, or the
                database is not for this Guidkeep.
        """
        address = Address.parse(url, port=PORT, several=True)
        size = take_connections(address, CONNECTIONS)
        tls = tls_of(address)
        address.refuse_the_rest()
        if not address.database:
            raise StartupError(f"{address} names no database: mysql://user:password@host/database.")
        pool = Pool(Driver(address, tls=tls, timeout=timeout), size=size)

        async def attempt(until: float) -> int:
            return await prepare(pool, place=str(address), until=until)

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

    async def get(self, guid: str) -> Record | None:
        """The record as it is stored, expired or not."""
        return await self._reads.submit(bytes.fromhex(guid))

    async def insert(self, record: Record) -> bool:
        """Stores a new record. False: one of its GUID is there, expired or not."""
        guid, row = bytes.fromhex(record.guid), Row.of(record)
        return await self._inserts.submit(_Insert(guid, row))

    async def replace(self, record: Record, version: int) -> bool:
        """Replaces the record of that version. False: the stored version is another, or gone."""
        statement = statements.replace(Row.of(record), version)
        return await self._changes.submit(statement)

    async def delete(self, guid: str, version: int) -> bool:
        """Deletes the record of that version. False: the stored version is another, or gone."""
        statement = statements.delete(bytes.fromhex(guid), version)
        return await self._changes.submit(statement)

    async def page(self, query: Query, now: int) -> list[Record]:
        """Live records in GUID order."""
        return await self._lists.submit((query, now))

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
        await self._reads.submit(bytes(16))

    async def close(self) -> None:
        """Waits for what was handed in, and closes the connections."""
        await self._batchers.close()
        await self._pool.close()

    # The rounds.

    async def _read(self, guids: Sequence[bytes], until: float) -> Sequence[Record | None]:
        rows = await self._ask(statements.read(set(guids)), until)
        found = {row[0]: record_of(*row) for row in rows}
        return [found.get(guid) for guid in guids]

    async def _list(
        self, lists: Sequence[tuple[Query, int]], until: float
    ) -> Sequence[list[Record]]:
        [(query, now)] = lists
        rows = await self._ask(statements.page(query, now), until)
        return [[record_of(*row) for row in rows]]

    async def _skip(self, skips: Sequence[tuple[Query, int]], until: float) -> Sequence[str | None]:
        [(query, count)] = skips
        rows = await self._ask(statements.skip(query, count), until)
        return [rows[0][0].hex().upper() if rows else None]

    async def _count(
        self, counts: Sequence[tuple[int, int, int]], give_up: float
    ) -> Sequence[Counted]:
        [(first, before, limit)] = counts
        found = await self._ask(statements.following(first, before, limit), give_up)
        end = until(found[0][0] if found else None, first, before)
        [[records]] = await self._ask(statements.count(first, end), give_up)
        return [Counted(records, end)]

    async def _clock(self, asked: Sequence[None], until: float) -> Sequence[float]:
        [[now]] = await self._ask(statements.CLOCK, until)
        return [float(now)] * len(asked)

    async def _change(self, changes: Sequence[str], until: float) -> Sequence[bool]:
        [statement] = changes
        return [bool(await self._write(statement, until))]

    async def _purge(self, purges: Sequence[tuple[int, int]], until: float) -> Sequence[int]:
        [(now, limit)] = purges
        guids = sorted(guid for [guid] in await self._ask(statements.expired(now, limit), until))
        purged = 0
        for at in range(0, len(guids), GROUP_LIMIT):
            some = guids[at : at + GROUP_LIMIT]
            purged += await self._write(statements.purge(some, now), until)
        return [purged]

    async def _insert(self, inserts: Sequence[_Insert], until: float) -> Sequence[bool | Exception]:
        waiting = dict(enumerate(inserts))
        results: Results = {}
        for _ in range(ATTEMPTS):
            for step in (self._put, self._face):
                if waiting:
                    results |= await step(waiting, until)
                    waiting = {at: each for at, each in waiting.items() if at not in results}
        crowd = StoreUnavailable(
            "Other requests change this GUID again and again; nothing was written."
        )
        return [results.get(at, crowd) for at in range(len(inserts))]

    async def _put(self, inserts: Inserts, until: float) -> Results:
        """Writes the first of each GUID; no result for those that met another record."""
        firsts: dict[bytes, int] = {}
        for at, insert in inserts.items():
            firsts.setdefault(insert.guid, at)
        results: Results = {}
        for group in _groups(inserts, (firsts[guid] for guid in sorted(firsts))):
            results |= await self._put_group(group, until)
        return results

    async def _put_group(self, group: Inserts, until: float) -> Results:
        """Writes all or none; each alone if all of them lose against others time and again."""
        try:
            await self._run(statements.insert(insert.row for insert in group.values()), until)
        except Failure as failure:
            if failure.code == DUPLICATE:
                return {}
            if failure.code not in CONFLICTS or len(group) == 1:
                return dict.fromkeys(group, write_error(failure))
        else:
            return dict.fromkeys(group, True)
        results: Results = {}
        for at, insert in group.items():
            results |= await self._put_group({at: insert}, until)
        return results

    async def _face(self, inserts: Inserts, until: float) -> Results:
        """Says no to those whose GUID is there; no result for the others."""
        statement = statements.present({insert.guid for insert in inserts.values()})
        try:
            rows = (await self._run(statement, until, is_read=True)).rows
        except Failure:
            return dict.fromkeys(inserts, unwritable())
        there = {guid for [guid] in rows}
        return {at: False for at, insert in inserts.items() if insert.guid in there}

    # Plumbing.

    async def _ask(self, statement: str, until: float) -> Sequence[tuple[Any, ...]]:
        """The rows that it finds."""
        try:
            return (await self._run(statement, until, is_read=True)).rows
        except Failure as failure:
            raise read_error(failure) from failure

    async def _write(self, statement: str, until: float) -> int:
        """How many rows it matched."""
        try:
            return (await self._run(statement, until)).matched
        except Failure as failure:
            raise write_error(failure) from failure

    async def _run(self, statement: str, until: float, *, is_read: bool = False) -> Rows:
        if len(statement) >= self._largest:
            raise NotSent(f"{len(statement)} bytes are more than max_allowed_packet allows")
        return await self._pool.run(statement, until, repeatable=is_read)


def _groups(inserts: Inserts, order: Iterable[int]) -> Iterator[Inserts]:
    """Cuts them, in that order, so that each statement is of `GROUP_BYTES` at most."""
    group: dict[int, _Insert] = {}
    size = 0
    for at in order:
        size += inserts[at].row.size
        if group and size > GROUP_BYTES:
            yield group
            group, size = {}, inserts[at].row.size
        group[at] = inserts[at]
    yield group
