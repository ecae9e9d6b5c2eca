"""Writes to PostgreSQL: their division into statements, and new attempts.

*Two writes of a batch with one condition* (the same GUID, and the same version to replace): only
one of them can succeed, so only one is sent. For the other the condition no longer held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.stores.postgresql.adapter import Statement
from guidkeep.stores.remote.base import divided
from guidkeep.stores.remote.failures import Failure, Refused, write_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from guidkeep.record import Record
    from guidkeep.stores.postgresql.adapter import Pool
    from guidkeep.stores.remote.base import Done, Write

BATCH_BYTES = 8 * 1024 * 1024
"""Characters of metadata in one statement at most, unless a single record has more."""
_FAILS_FOR_ALL = ("08", "25", "28", "3", "42", "53", "55", "57", "58")
"""The first characters of codes that no single row causes, so one by one would fail too."""

_INSERT = """
INSERT INTO record (guid, expire, version, "user", metadata)
SELECT * FROM unnest(
    $1::text[]::bytea[], $2::text[]::bigint[], $3::text[]::bigint[], $4::text[]::bytea[],
    $5::text[]
)
ON CONFLICT (guid) DO NOTHING
RETURNING guid, NULL::bigint
"""
_REPLACE = """
UPDATE record SET
    expire = $3::bigint, version = $4::bigint, "user" = $5::bytea, metadata = $6::text
WHERE guid = $1::bytea AND version = $2::bigint
RETURNING guid, $2::bigint
"""
_DELETE = """
DELETE FROM record WHERE guid = $1::bytea AND version = $2::bigint RETURNING guid, $2::bigint
"""
# A row that another node is about to delete, or to prolong, is left to that node: no one waits.
_PURGE = """
WITH expired AS MATERIALIZED (
    SELECT guid FROM record WHERE expire <= $1::bigint
    ORDER BY expire LIMIT $2::bigint FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM record USING expired
    WHERE record.guid = expired.guid AND record.expire <= $1::bigint
    RETURNING 1
)
SELECT count(*) FROM gone
"""


class Row(NamedTuple):
    """A record as the arguments of its columns, but for the GUID."""

    expire: int
    version: int
    user: bytes | None
    metadata: str

    def __repr__(self) -> str:
        """Leaves out the values, so that no log has them."""
        return "Row(...)"

    @classmethod
    def of(cls, record: Record) -> Row:
        """Returns the row of the record."""
        user = record.user
        return cls(
            record.expire,
            record.version,
            None if user is None else user.encode(),
            record.metadata,
        )


Condition = tuple[bytes, int | None]


class Writes:
    """Runs batches of writes, of one kind each.

    A batch is given up at `deadline`, the event loop's time. The result has for each write its
    outcome, or the exception to raise.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def inserts(self, writes: Sequence[Write], deadline: float) -> Sequence[Done]:
        """Stores new records. False: the GUID has a record already, expired or not."""
        return await self._write(writes, deadline, self._insert)

    async def replaces(self, writes: Sequence[Write], deadline: float) -> Sequence[Done]:
        """Replaces records. False: the record has another version, or is gone."""
        return await self._write(writes, deadline, self._replace)

    async def deletes(self, writes: Sequence[Write], deadline: float) -> Sequence[Done]:
        """Deletes records. False: the record has another version, or is gone."""
        return await self._write(writes, deadline, self._delete)

    async def _write(
        self,
        writes: Sequence[Write],
        deadline: float,
        send: Callable[[Sequence[Write], float], Awaitable[Sequence[Any]]],
    ) -> Sequence[Done]:
        """Runs a batch of writes of one kind.

        Of several writes with one condition only the first is sent. Once it is done, the others
        find another version; if it was refused, they would have been refused too.
        """
        sent: dict[Condition, Write] = {}
        for write in writes:
            sent.setdefault(write.condition, write)
        outcomes: dict[Condition, Done] = {}
        in_order = sorted(sent.values(), key=lambda write: write.condition)
        for batch in divided(in_order, _size, BATCH_BYTES):
            outcomes |= await self._attempt(batch, deadline, send)
        results = []
        for write in writes:
            outcome = outcomes[write.condition]
            results.append(outcome if sent[write.condition] is write else _rivals(outcome))
        return results

    async def _attempt(
        self,
        batch: Sequence[Write],
        deadline: float,
        send: Callable[[Sequence[Write], float], Awaitable[Sequence[Any]]],
    ) -> dict[Condition, Done]:
        """Runs a batch; one by one if a single write may be the cause of its failure."""
        try:
            done = set(map(tuple, await send(batch, deadline)))
        except Failure as failure:
            if len(batch) == 1 or not _may_be_one(failure):
                error = write_error(failure)
                return {write.condition: error for write in batch}
        else:
            return {write.condition: write.condition in done for write in batch}
        alone: dict[Condition, Done] = {}
        for write in batch:
            alone |= await self._attempt([write], deadline, send)
        return alone

    def _insert(self, batch: Sequence[Write], deadline: float) -> Awaitable[Sequence[Any]]:
        columns = (
            [_hex(write.guid) for write in batch],
            [str(write.row.expire) for write in batch],
            [str(write.row.version) for write in batch],
            [None if write.row.user is None else _hex(write.row.user) for write in batch],
            [write.row.metadata for write in batch],
        )
        return self._pool.run(Statement(_INSERT, columns), deadline)

    def _replace(self, batch: Sequence[Write], deadline: float) -> Awaitable[Sequence[Any]]:
        rows = [(*write.condition, *write.row) for write in batch]
        return self._pool.run(Statement(_REPLACE, each=rows), deadline)

    def _delete(self, batch: Sequence[Write], deadline: float) -> Awaitable[Sequence[Any]]:
        conditions = [write.condition for write in batch]
        return self._pool.run(Statement(_DELETE, each=conditions), deadline)

    async def purge(self, now: int, limit: int, deadline: float) -> int:
        """Deletes at most `limit` expired records; returns their number."""
        [[count]] = await self._pool.run(Statement(_PURGE, (now, limit)), deadline)
        return int(count)


def _hex(content: bytes) -> str:
    """Returns the bytes in the text form of bytea."""
    return f"\\x{content.hex()}"


def _size(write: Write) -> int:
    return len(write.row.metadata) if write.row else 0


def _may_be_one(failure: Exception) -> bool:
    """Whether one write may be the cause, so that the others succeed alone."""
    return isinstance(failure, Refused) and not failure.code.startswith(_FAILS_FOR_ALL)


def _rivals(outcome: Done) -> Done:
    """Returns the outcome of a write that was not sent because another had its condition."""
    if isinstance(outcome, OutcomeUnknown):
        return StoreUnavailable("The store does not respond; nothing was written.")
    return outcome if isinstance(outcome, Exception) else False
