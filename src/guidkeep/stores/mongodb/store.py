"""Records in MongoDB, over PyMongo's asyncio API.

The driver gets the URL as it is: its documentation describes several hosts, `mongodb+srv`, TLS and
logins (`guidkeep.stores.mongodb.client` reads the URL). The database is the one in the URL, or
`guidkeep`. The store's timeout bounds each operation, not a timeout in the URL.

*Documents.* A record is one document in the collection `record`:
`{_id, expire, version, user, metadata}`. `_id` is the GUID's 16 bytes: BSON compares binaries of
one length and subtype byte by byte, which is the order of GUIDs, and they are half the size of the
digits. Both numbers are 64-bit integers. `user` is a string or null; only the document's size
bounds its index entry (MongoDB 4.2 and later; the driver refuses versions before 4.4). `metadata`
is the JSON text as one string, byte for byte. A document in `guidkeep` has the schema's version.

*One document is one record*, and no write has conditions on two documents, so the collection can be
sharded on `_id`, hashed or by range. MongoDB checks the version and writes in one step: it changes
a document atomically, and applies the filter again if the document changed in between. Lists and
the search for expired records ask all shards.

*Batches.* Gets that arrive together become one `find` of several `_id`, and inserts one unordered
`insert_many`, whose response says of each document whether its `_id` existed
(see `guidkeep.batching.batcher`). Replacements and deletions go one by one: for several the server
returns only their sum.

*Durability.* A write succeeds when a majority of the replica set has it in its journal
(`w=majority`, `journal=true`), so it survives the loss of any minority, the primary included. Reads
go to the primary with the read concern `majority`: they see only writes that can't be rolled back.
Local reads could show a write that a failover then takes away, and reads must not go back. The
primary acknowledges a majority write when its majority-commit point has reached it, so a later
majority read there sees it.

*The limit.* A primary that is cut off from the others believes that it is the primary until it has
missed them for `electionTimeoutMillis` (10 s by default). In that time a node of Guidkeep that
reaches only that primary may read records from before the cut, though others write through the new
primary; it can't write. A node that knows the new primary never asks the old one again: the driver
compares their terms. `readConcernLevel=linearizable` in the URL closes that window: each get then
waits for a majority to confirm the primary, and goes alone, because linearizability holds for one
document at a time.

*Options in the URL.* The store follows a weaker write concern, with a warning in the log. It
refuses options that make responses wrong: `w=0`, any read preference but `primary`, read concerns
weaker than `majority`, and `directConnection`, which reads from a member in any role.

*Tested* on FerretDB 1.24 with its SQLite backend (see `servers/ferretdb`), not on MongoDB's own
server. FerretDB is one process: it accepts write concern, journal and read concern but ignores
them, has no failover, no retryable writes and no shards, and uses no index for these statements.
On those points the text above rests on MongoDB's documentation.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeVar

from guidkeep.errors import StoreUnavailable
from guidkeep.record import Record
from guidkeep.stores.mongodb.client import close, connect, in_time
from guidkeep.stores.remote.base import RemoteStore, Share
from guidkeep.stores.remote.failures import Failure, write_error

# After `client`, whose error names the extra to install if the driver is missing.
import bson  # isort: skip
import pymongo  # isort: skip
from pymongo.errors import BulkWriteError, WriteConcernError, WriteError  # isort: skip

from guidkeep.stores.mongodb.failures import failure_of  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymongo.asynchronous.collection import AsyncCollection

    from guidkeep.metrics import Metrics
    from guidkeep.record import Query
    from guidkeep.stores.mongodb.client import Document
    from guidkeep.stores.remote.base import Done, Write

Result = TypeVar("Result")

INSERTS = 500
READS = 250
"""Records in a batch, and in one response to a list, at most. A response of MongoDB has 16 MiB at
most: this many records of the largest size that the default of `--max-body` accepts."""
BATCHES_AT_ONCE = 4
CHANGES_AT_ONCE = 32
CONNECTIONS = 2 * BATCHES_AT_ONCE + 2 * CHANGES_AT_ONCE + 2
"""Connections to a server: one for each operation that may be under way (as many linearizable gets
as updates, a purge, a count)."""
LARGEST = 16 << 20
"""Bytes of a document at most in MongoDB."""

_DUPLICATE_KEY = 11000


class MongoDBStore(RemoteStore):
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
        size = int(options.pool_options.max_pool_size or CONNECTIONS)
        some, many = min(BATCHES_AT_ONCE, size), min(CHANGES_AT_ONCE, size)
        alone = options.read_concern.level == "linearizable"
        super().__init__(
            timeout=timeout,
            metrics=metrics,
            reads=Share(1, many) if alone else Share(READS, some),
            inserts=Share(INSERTS, some),
            changes=Share(1, many),
            lists=some,
        )

    @classmethod
    async def open(cls, url: str, *, timeout: float, metrics: Metrics) -> MongoDBStore:
        """Connects, and makes missing collections and indexes.

        Raises:
            StartupError: no server responds, the URL is wrong, or the database is of a newer
                Guidkeep.
        """
        client, records = await connect(url, timeout=timeout, connections=CONNECTIONS)
        return cls(client, records, timeout=timeout, metrics=metrics)

    async def _leave(self) -> None:
        with pymongo.timeout(self._timeout):  # the goodbye may go to servers that are gone
            await close(self._client)

    async def _read(self, guids: Sequence[bytes], deadline: float) -> Sequence[Record | None]:
        which = guids[0] if len(guids) == 1 else {"$in": list(set(guids))}
        found = await self._find(deadline, {"_id": which}, batch_size=READS)
        records = {document["_id"]: _record(document) for document in found}
        return [records.get(guid) for guid in guids]

    async def _page(self, query: Query, now: int, deadline: float) -> list[Record]:
        condition = _walk(query)
        condition["expire"] = {"$gt": now}
        if query.until is not None:
            condition["_id"]["$lte"] = bytes.fromhex(query.until)
        if query.expires_before is not None:
            condition["expire"]["$lt"] = query.expires_before
        found = await self._find(
            deadline,
            condition,
            sort=[("_id", 1)],
            limit=query.limit,
            batch_size=min(READS, query.limit),
            hint="by_expire" if query.by_expire else _index(query),
        )
        return [_record(document) for document in found]

    async def _skip(self, query: Query, count: int, deadline: float) -> bytes | None:
        found = await self._find(
            deadline,
            _walk(query),
            {"_id": 1},
            sort=[("_id", 1)],
            skip=count - 1,
            limit=1,
            hint=_index(query),
        )
        return found[0]["_id"] if found else None

    async def _expire_after(
        self, first: int, before: int, limit: int, deadline: float
    ) -> int | None:
        condition = _expiring(first, before)
        found = await self._find(
            deadline, condition, {"expire": 1}, sort=[("expire", 1)], skip=limit, limit=1
        )
        return int(found[0]["expire"]) if found else None

    async def _expiring(self, first: int, before: int, deadline: float) -> int:
        return await in_time(self._records.count_documents(_expiring(first, before)), deadline)

    async def _clock(self, deadline: float) -> float:
        hello = await in_time(self._records.database.command("hello"), deadline)
        now: float = hello["localTime"].replace(tzinfo=UTC).timestamp()
        return now

    def _row(self, record: Record) -> Document:
        document = _document(record)
        # A short text can't be too large.
        if len(record.metadata) > LARGEST // 16 and len(bson.encode(document)) > LARGEST:
            raise StoreUnavailable(
                "The record is larger than MongoDB's limit of 16 MiB; nothing was written."
            )
        return document

    async def _insert(self, writes: Sequence[Write], deadline: float) -> Sequence[Done]:
        documents = [write.row for write in writes]
        try:
            await in_time(self._records.insert_many(documents, ordered=False), deadline)
        except Failure as failure:
            if isinstance(failure.__cause__, BulkWriteError):
                return _each(failure.__cause__.details, len(writes))
            raise
        return [True] * len(writes)

    async def _change(self, writes: Sequence[Write], deadline: float) -> Sequence[Done]:
        [(guid, version, document)] = writes
        condition = {"_id": guid, "version": version}
        if document is None:
            deleted = await in_time(self._records.delete_one(condition), deadline)
            return [deleted.deleted_count == 1]
        replacing = self._records.replace_one(condition, document)
        return [(await in_time(replacing, deadline)).matched_count == 1]

    async def _purge(self, now: int, limit: int, deadline: float) -> int:
        expired = {"expire": {"$lte": now}}
        found = await self._find(deadline, expired, {"_id": 1}, limit=limit)
        if not found:
            return 0
        which = {"_id": {"$in": [document["_id"] for document in found]}}
        return (await in_time(self._records.delete_many(which | expired), deadline)).deleted_count

    async def _find(self, deadline: float, *args: Any, **options: Any) -> list[Document]:
        return await in_time(self._records.find(*args, **options).to_list(), deadline)


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
    """Returns the condition that bounds a walk in GUID order."""
    condition: Document = {"_id": {"$gt": bytes.fromhex(query.after or "")}}
    if query.user is not None:
        condition["user"] = query.user
    return condition


def _index(query: Query) -> str:
    """Returns the index of a walk in GUID order."""
    return "_id_" if query.user is None else "by_user"


def _expiring(first: int, before: int) -> Document:
    return {"expire": {"$gte": first, "$lt": before}}


# Failures.


def _each(details: Mapping[str, Any], length: int) -> list[bool | Exception]:
    """Returns the outcome of each document of an insert that failed in part, and logs the failures.

    False: its `_id` exists already.
    """
    results: list[bool | Exception] = [True] * length
    for concern in details.get("writeConcernErrors") or ():
        error = WriteConcernError("", concern.get("code"), concern)
        results = [write_error(failure_of(error))] * length
    faults = details.get("writeErrors", ())
    causes = {fault["code"]: fault for fault in faults if fault["code"] != _DUPLICATE_KEY}
    refused = {
        code: write_error(failure_of(WriteError("", code, fault))) for code, fault in causes.items()
    }
    for fault in faults:
        results[fault["index"]] = refused.get(fault["code"], False)
    return results
