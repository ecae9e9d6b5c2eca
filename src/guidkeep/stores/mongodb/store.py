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
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from guidkeep.errors import StoreUnavailable, unconfirmed, unwritable
from guidkeep.record import Record
from guidkeep.stores.mongodb.client import close, connect
from guidkeep.stores.remote.base import RemoteStore, Share
from guidkeep.stores.remote.failures import Failure

# The driver's, after the line above: it says what installs them, if they are not there.
import bson  # isort: skip
import pymongo  # isort: skip
from pymongo.errors import BulkWriteError, PyMongoError  # isort: skip

from guidkeep.stores.mongodb.failures import failure_of  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from pymongo.asynchronous.collection import AsyncCollection

    from guidkeep.metrics import Metrics
    from guidkeep.record import Query
    from guidkeep.stores.mongodb.client import Document
    from guidkeep.stores.remote.base import Change, Done

Result = TypeVar("Result")

log = structlog.get_logger("guidkeep.stores.mongodb")

INSERTS = 500
READS = 250
"""Records in a batch, and in one response to a list. MongoDB's responses end at 16 MiB: as many of
the largest that `--max-body` lets pass as shipped."""
BATCHES_AT_ONCE = 4
CHANGES_AT_ONCE = 32
CONNECTIONS = 2 * BATCHES_AT_ONCE + 2 * CHANGES_AT_ONCE + 2
"""Connections to a server: one for all that may be on its way at once (linearizable gets as many
as updates, a purge, a count)."""
LARGEST = 16 << 20
"""Bytes of a document that MongoDB takes."""

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
        """Connects, and makes the collections and indexes that are not there yet.

        Raises:
            StartupError: no server answers, the URL is wrong, or the database is of a newer
                Guidkeep.
        """
        client, records = await connect(url, timeout=timeout, connections=CONNECTIONS)
        return cls(client, records, timeout=timeout, metrics=metrics)

    async def insert(self, record: Record) -> bool:
        """Stores a new record. False: one of its GUID is there, expired or not."""
        _refuse_too_large(record)
        return await super().insert(record)

    async def replace(self, record: Record, version: int) -> bool:
        """Replaces the record of that version. False: the stored version is another, or gone."""
        _refuse_too_large(record)
        return await super().replace(record, version)

    async def _leave(self) -> None:
        with pymongo.timeout(self._timeout):  # it says goodbye to servers that may be gone
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
        return await _in_time(self._records.count_documents(_expiring(first, before)), deadline)

    async def _clock(self, deadline: float) -> float:
        told = await _in_time(self._records.database.command("hello"), deadline)
        now: float = told["localTime"].replace(tzinfo=UTC).timestamp()
        return now

    async def _insert(self, records: Sequence[Record], deadline: float) -> Sequence[Done]:
        documents = map(_document, records)
        try:
            await _in_time(self._records.insert_many(documents, ordered=False), deadline)
        except Failure as failure:
            if isinstance(failure.__cause__, BulkWriteError):
                return _each(failure.__cause__.details, len(records))
            raise
        return [True] * len(records)

    async def _change(self, changes: Sequence[Change], deadline: float) -> Sequence[Done]:
        [(guid, version, record)] = changes
        condition = {"_id": guid, "version": version}
        if record is None:
            deleted = await _in_time(self._records.delete_one(condition), deadline)
            return [deleted.deleted_count == 1]
        replacing = self._records.replace_one(condition, _document(record))
        return [(await _in_time(replacing, deadline)).matched_count == 1]

    async def _purge(self, now: int, limit: int, deadline: float) -> int:
        expired = {"expire": {"$lte": now}}
        found = await self._find(deadline, expired, {"_id": 1}, limit=limit)
        if not found:
            return 0
        which = {"_id": {"$in": [document["_id"] for document in found]}}
        return (await _in_time(self._records.delete_many(which | expired), deadline)).deleted_count

    async def _find(self, deadline: float, *args: Any, **options: Any) -> list[Document]:
        return await _in_time(self._records.find(*args, **options).to_list(), deadline)


async def _in_time(work: Awaitable[Result], deadline: float) -> Result:
    """Lets the driver give the work up when its time is over.

    Raises:
        Failure: it failed; the cause is the driver's error.
    """
    left = deadline - asyncio.get_running_loop().time()
    try:
        with pymongo.timeout(max(left, 0.001)):  # 0 would be: no end
            return await work
    except PyMongoError as error:
        raise failure_of(error) from error


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
    written: bool | Exception = unconfirmed() if concerns else True
    results = [written] * length
    for fault in details.get("writeErrors", ()):
        taken = fault["code"] == _DUPLICATE_KEY
        results[fault["index"]] = False if taken else unwritable()
    codes = {fault["code"] for fault in details.get("writeErrors", ())} - {_DUPLICATE_KEY}
    if concerns or codes:  # without the documents, which the driver's message has
        concern_codes = [concern.get("code") for concern in concerns or ()]
        log.error("store failed", codes=sorted(codes), write_concern_errors=concern_codes)
    return results
