"""Records in MongoDB, over PyMongo's asyncio API.

The URL goes to the driver as it is: several hosts, `mongodb+srv`, TLS and logins are what its
documentation says (`guidkeep.stores.mongodb.client` reads it). The database is the one that the URL
names, else `guidkeep`. How long an operation may take is said by the store's time-out, not by the
URL.

*What is stored.* A record is one document in the collection `record`:
`{_id, expire, version, user, metadata}`. `_id` is the GUID's 16 bytes: BSON compares binaries of
one length and subtype byte by byte, which is the GUIDs' order, and half the size of the digits.
Both numbers are 64-bit integers. `user` is a string or null, with its index bounded by nothing
but the document's size (MongoDB 4.2 and later; the driver refuses those before 4.4). `metadata` is
the JSON text as one string, kept to the letter. A document in `guidkeep` names the schema.

*One document is one record*, and no write names two conditions on different ones, so the
collection can be sharded on `_id`, hashed or by range. The check of a version and the write are
one step in MongoDB: a document is changed atomically, and the filter is looked at again if it
changed in between. Lists and the search for expired records ask all shards.

*Rounds.* Gets that arrive together are one `find` of several `_id`, inserts one unordered
`insert_many`, which says of each document whether its `_id` was there
(see `guidkeep.batching.batcher`).
Replacements and deletions travel one by one: of several the server tells only the sum.

*What is promised.* A write is answered when a majority of the replica set has it in its journal
(`w=majority`, `journal=true`), so it survives the loss of any minority, the primary included. Reads
go to the primary with read concern `majority`: they see only what can't be rolled back. Local
reads could show a write that a fail-over then takes away, and reads must not go back. The primary
acknowledges a majority write when its majority-commit point has reached it, so a later majority
read there sees it.

*Where that ends.* A primary that is cut off from the others takes itself for the primary until it
has missed them for `electionTimeoutMillis` (10 s as shipped). A node of Guidkeep that reaches
only that one may read, in that time, what was current when it was cut off, though others write
through the new primary; it can't write. A node that has heard of the new primary never asks the
old one again: the driver compares their terms. Whoever can't accept that window says
`readConcernLevel=linearizable` in the URL: each get then waits for a majority to confirm the
primary, and travels alone, for linearizability holds for one document at a time.

*What the URL may change.* A weaker write concern is followed, with a warning in the log. Refused
is what would make answers wrong: `w=0`, any other read preference than `primary`, weaker read
concerns than `majority`, and `directConnection`, which reads from a member whatever its role.

*Tested* on FerretDB 1.24 with its SQLite backend (see `servers/ferretdb`), not on MongoDB's own
server. FerretDB is one process: it takes write concern, journal and read concern and heeds none,
has no fail-over, no retryable writes and no shards, and it uses no index for what is asked here.
What is said above of those rests on MongoDB's documentation.
"""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import structlog

from guidkeep.batching.batcher import Batchers
from guidkeep.errors import OutcomeUnknown, StoreUnavailable, unreadable, unwritable
from guidkeep.record import Record
from guidkeep.stores import Counted, until
from guidkeep.stores.mongodb.client import close, connect

# The driver's, after the line above: it says what installs them, if they are not there.
import bson  # isort: skip
import pymongo  # isort: skip
from pymongo.errors import (  # isort: skip
    BulkWriteError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WriteError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pymongo.asynchronous.collection import AsyncCollection

    from guidkeep.metrics import Metrics
    from guidkeep.record import Query
    from guidkeep.stores.mongodb.client import Document

Item = TypeVar("Item")
Result = TypeVar("Result")

log = structlog.get_logger("guidkeep.stores.mongodb")

INSERTS = 500
READS = 250
"""Records in a round, and in one answer of a list. MongoDB's answers end at 16 MiB: as many of
the largest that `--max-body` lets pass as shipped."""
ROUNDS_AT_ONCE = 4
UPDATES_AT_ONCE = 32
POOL = 2 * ROUNDS_AT_ONCE + 2 * UPDATES_AT_ONCE + 2
"""Connections to a server: one for all that may be on its way at once (linearizable gets as many
as updates, a purge, a count)."""
LARGEST = 16 << 20
"""Bytes of a document that MongoDB takes."""

_DUPLICATE_KEY = 11000
_REFUSED = {
    13: "Unauthorized",
    18: "AuthenticationFailed",
    73: "InvalidNamespace",
    121: "DocumentValidationFailure",
}
"""Codes of a command's failure that came before anything was written. MongoDB has hundreds;
of one that is not here the outcome counts as unknown, which is never wrong."""


class _Update(NamedTuple):
    """Replaces the record of that GUID and version, or deletes it."""

    guid: bytes
    version: int
    record: Record | None


class MongoDBStore:
    """See the module's text. Made by `open`."""

    def __init__(
        self,
        client: pymongo.AsyncMongoClient[Document],
        records: AsyncCollection[Document],
        *,
        timeout: float,
        metrics: Metrics,
    ) -> None:
        self._client = client
        self._records = records
        self._timeout = timeout
        options = client.options
        pool = int(options.pool_options.max_pool_size or POOL)
        some, many = min(ROUNDS_AT_ONCE, pool), min(UPDATES_AT_ONCE, pool)
        alone = options.read_concern.level == "linearizable"

        reads, at_once = (1, many) if alone else (READS, some)
        self._batchers = batchers = Batchers(timeout=timeout, observe=metrics.observe_batch)
        self._reads = batchers.of("read", _in_time(self._read), limit=reads, at_once=at_once)
        self._lists = batchers.of("list", _in_time(self._list), at_once=some)
        self._skips = batchers.of("list", _in_time(self._skip), at_once=some)
        self._inserts = batchers.of("write", _in_time(self._insert), limit=INSERTS, at_once=some)
        self._updates = batchers.of("write", _in_time(self._update), at_once=many)
        self._counts = batchers.of("count", _in_time(self._count))
        self._clocks = batchers.of("clock", _in_time(self._clock))
        # Two purges at once would find the same records, and delete half as many as they might.
        self._purges = batchers.of("write", _in_time(self._purge))

    @classmethod
    async def open(cls, url: str, *, timeout: float, metrics: Metrics) -> MongoDBStore:
        """Connects, and makes the collections and indexes that are not there yet.

        Raises:
            StartupError: no server answers, the URL is wrong, or the database is of a newer
                Guidkeep.
        """
        client, records = await connect(url, timeout=timeout, pool=POOL)
        return cls(client, records, timeout=timeout, metrics=metrics)

    async def get(self, guid: str) -> Record | None:
        """The record as it is stored, expired or not."""
        return await self._reads.submit(bytes.fromhex(guid))

    async def insert(self, record: Record) -> bool:
        """Stores a new record. False: one of its GUID is there, expired or not."""
        _refuse_too_large(record)
        return await self._inserts.submit(record)

    async def replace(self, record: Record, version: int) -> bool:
        """Replaces the record of that version. False: the stored version is another, or gone."""
        _refuse_too_large(record)
        return await self._updates.submit(_Update(bytes.fromhex(record.guid), version, record))

    async def delete(self, guid: str, version: int) -> bool:
        """Deletes the record of that version. False: the stored version is another, or gone."""
        return await self._updates.submit(_Update(bytes.fromhex(guid), version, None))

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
        """Unix time in seconds by the primary's clock."""
        return await self._clocks.submit(None)

    async def ping(self) -> None:
        """Raises StoreUnavailable if the primary can't be read."""
        await self._reads.submit(bytes(16))

    async def close(self) -> None:
        """Finishes what was begun and closes every connection."""
        await self._batchers.close()
        with pymongo.timeout(self._timeout):  # it says goodbye to servers that may be gone
            await close(self._client)

    # The rounds.

    async def _read(self, guids: Sequence[bytes]) -> Sequence[Record | None]:
        which = guids[0] if len(guids) == 1 else {"$in": list(set(guids))}
        found = await self._find({"_id": which}, batch_size=READS)
        records = {document["_id"]: _record(document) for document in found}
        return [records.get(guid) for guid in guids]

    async def _list(self, queries: Sequence[tuple[Query, int]]) -> Sequence[list[Record]]:
        [(query, now)] = queries
        condition = _walk(query)
        condition["expire"] = {"$gt": now}
        if query.until is not None:
            condition["_id"]["$lte"] = bytes.fromhex(query.until)
        if query.expires_before is not None:
            condition["expire"]["$lt"] = query.expires_before
        found = await self._find(
            condition,
            sort=[("_id", 1)],
            limit=query.limit,
            batch_size=min(READS, query.limit),
            hint="by_expire" if query.by_expire else _index(query),
        )
        return [[_record(document) for document in found]]

    async def _skip(self, skips: Sequence[tuple[Query, int]]) -> Sequence[str | None]:
        [(query, count)] = skips
        found = await self._find(
            _walk(query),
            {"_id": 1},
            sort=[("_id", 1)],
            skip=count - 1,
            limit=1,
            hint=_index(query),
        )
        return [found[0]["_id"].hex().upper() if found else None]

    async def _count(self, steps: Sequence[tuple[int, int, int]]) -> Sequence[Counted]:
        [(first, before, limit)] = steps
        found = await self._find(
            _expiring(first, before), {"expire": 1}, sort=[("expire", 1)], skip=limit, limit=1
        )
        end = until(int(found[0]["expire"]) if found else None, first, before)
        return [Counted(await _read(self._records.count_documents(_expiring(first, end))), end)]

    async def _clock(self, asked: Sequence[None]) -> Sequence[float]:
        told = await _read(self._records.database.command("hello"))
        return [told["localTime"].replace(tzinfo=UTC).timestamp()] * len(asked)

    async def _insert(self, records: Sequence[Record]) -> Sequence[bool | Exception]:
        try:
            await self._records.insert_many(map(_document, records), ordered=False)
        except BulkWriteError as error:
            return _each(error.details, len(records))
        except PyMongoError as error:
            raise _write_failure(error) from error
        return [True] * len(records)

    async def _update(self, updates: Sequence[_Update]) -> Sequence[bool | Exception]:
        [(guid, version, record)] = updates
        document = None if record is None else _document(record)
        return [await self._set({"_id": guid, "version": version}, document)]

    async def _purge(self, purges: Sequence[tuple[int, int]]) -> Sequence[int]:
        [(now, limit)] = purges
        expired = {"expire": {"$lte": now}}
        found = await self._find(expired, {"_id": 1}, limit=limit)
        if not found:
            return [0]
        which = {"_id": {"$in": [document["_id"] for document in found]}}
        try:
            done = await self._records.delete_many(which | expired)
        except PyMongoError as error:
            raise _write_failure(error) from error
        return [done.deleted_count]

    async def _find(self, *args: Any, **options: Any) -> list[Document]:
        return await _read(self._records.find(*args, **options).to_list())

    async def _set(self, condition: Document, document: Document | None) -> bool | Exception:
        """Replaces, or deletes, the document for which the condition holds."""
        try:
            if document is None:
                return (await self._records.delete_one(condition)).deleted_count == 1
            return (await self._records.replace_one(condition, document)).matched_count == 1
        except PyMongoError as error:
            failure = _write_failure(error)
            failure.__cause__ = error
            return failure


async def _read(asked: Awaitable[Result]) -> Result:
    try:
        return await asked
    except PyMongoError as error:
        _log(error)
        raise unreadable() from error


def _in_time(
    run: Callable[[Sequence[Item]], Awaitable[Result]],
) -> Callable[[Sequence[Item], float], Awaitable[Result]]:
    """Lets the driver give a round up when its time is up."""

    async def run_until(items: Sequence[Item], until: float) -> Result:
        left = until - asyncio.get_running_loop().time()
        with pymongo.timeout(max(left, 0.001)):  # 0 would be: no end
            return await run(items)

    return run_until


# Documents.


def _document(record: Record) -> Document:
    return {
        "_id": bytes.fromhex(record.guid),
        "expire": bson.Int64(record.expire),
        "version": bson.Int64(record.version),
        "user": record.user,
        "metadata": record.metadata,
    }


def _record(document: Mapping[str, Any]) -> Record:
    return Record(
        document["_id"].hex().upper(),
        int(document["expire"]),
        int(document["version"]),
        document["metadata"],
    )


def _walk(query: Query) -> Document:
    """The condition that bounds a walk in the order of GUIDs."""
    condition: Document = {"_id": {"$gt": bytes.fromhex(query.after or "")}}
    if query.user is not None:
        condition["user"] = query.user
    return condition


def _index(query: Query) -> str:
    """The index of such a walk."""
    return "_id_" if query.user is None else "by_user"


def _expiring(first: int, before: int) -> Document:
    return {"expire": {"$gte": first, "$lt": before}}


def _refuse_too_large(record: Record) -> None:
    # By itself, before it joins a round: it would spoil the others'. Short ones can't be.
    if len(record.metadata) > LARGEST // 16 and len(bson.encode(_document(record))) > LARGEST:
        raise StoreUnavailable(
            "The record is larger than the 16 MiB that MongoDB takes; nothing was written."
        )


# Failures.


def _each(details: Mapping[str, Any], length: int) -> list[bool | Exception]:
    """What became of each document of an insert that failed in part; False: its `_id` is there."""
    concerns = details.get("writeConcernErrors")
    written: bool | Exception = _unknown() if concerns else True
    results = [written] * length
    for fault in details.get("writeErrors", ()):
        taken = fault["code"] == _DUPLICATE_KEY
        results[fault["index"]] = False if taken else unwritable()
    codes = {fault["code"] for fault in details.get("writeErrors", ())} - {_DUPLICATE_KEY}
    if concerns or codes:  # without the documents, which the driver's message has
        concern_codes = [concern.get("code") for concern in concerns or ()]
        log.error("store failed", codes=sorted(codes), write_concern_errors=concern_codes)
    return results


def _write_failure(error: PyMongoError) -> StoreUnavailable:
    """What a write's failure means: nothing was written, or nobody knows."""
    _log(error)
    if isinstance(error, WriteConcernError):
        return _unknown()  # it is written, but perhaps not on a majority
    not_sent = isinstance(error, ServerSelectionTimeoutError)
    refused = isinstance(error, WriteError) or (
        isinstance(error, OperationFailure) and error.code in _REFUSED
    )
    if not_sent or refused or error.has_error_label("NoWritesPerformed"):
        return unwritable()
    return _unknown()


def _log(error: PyMongoError) -> None:
    """Of a server's answer the code alone: its text may quote documents."""
    kind = type(error).__name__
    if isinstance(error, OperationFailure):
        name = (error.details or {}).get("codeName")
        log.error("store failed", kind=kind, code=error.code, name=name)
    else:
        log.error("store failed", kind=kind, error=str(error))


def _unknown() -> OutcomeUnknown:
    return OutcomeUnknown(
        "The store did not confirm in time: whether it was written is unknown. Read it again."
    )
