"""SQLite's statements for records of known GUIDs. All functions raise sqlite3.Error.

*Few, large calls.* The `sqlite3` module releases the interpreter's lock in every step of a
statement and must win it back from the event loop afterwards. With a statement for each record the
lock would change hands all the time. So a batch takes a handful of statements, whatever its size:
its rows are passed as one parameter with all their bytes and one JSON array with the position of
each, and the result is one row too. In between SQLite works with the lock released.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from guidkeep.record import Record

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

# Each :index is a JSON array with one entry for each row; each :bytes has the rows' bytes in a row.
_READ = """
SELECT json_group_array(json_array(at.key, record.expire, record.version, record.metadata))
FROM json_each(:index) AS at CROSS JOIN record ON guid = substr(:bytes, 16 * at.key + 1, 16)
"""
_VERSIONS = """
SELECT json_group_array(json_array(at.key, version))
FROM json_each(:index) AS at CROSS JOIN record ON guid = substr(:bytes, 16 * at.key + 1, 16)
"""
_PUT = """
INSERT INTO record (guid, expire, version, user, metadata)
SELECT substr(:bytes, value->>0, 16), value->>1, value->>2,
       substr(:bytes, value->>3, value->>4), CAST(substr(:bytes, value->>5, value->>6) AS TEXT)
FROM json_each(:index) WHERE true
ON CONFLICT (guid) DO UPDATE SET
    expire = excluded.expire, version = excluded.version,
    user = excluded.user, metadata = excluded.metadata
"""
_DELETE = """
DELETE FROM record
WHERE guid IN (SELECT substr(:bytes, 16 * key + 1, 16) FROM json_each(:index))
"""
_PURGE = """
DELETE FROM record WHERE expire <= :now AND guid IN (
    SELECT guid FROM record WHERE expire <= :now ORDER BY expire LIMIT :limit
)
"""


def read(connection: sqlite3.Connection, guids: Sequence[bytes]) -> list[Record | None]:
    """Returns the record of each GUID, expired or not; None where there is none."""
    records: list[Record | None] = [None] * len(guids)
    for at, expire, version, metadata in _one(connection, _READ, guids):
        records[at] = Record(guids[at].hex().upper(), expire, version, metadata)
    return records


def versions(connection: sqlite3.Connection, guids: Sequence[bytes]) -> dict[bytes, int]:
    """Returns the versions of the records that exist, by GUID."""
    if not guids:
        return {}
    return {guids[at]: version for at, version in _one(connection, _VERSIONS, guids)}


def put(connection: sqlite3.Connection, records: Mapping[bytes, Record]) -> None:
    """Inserts records, or replaces existing ones."""
    if not records:
        return
    index, pieces, at = [], [], 1  # SQLite counts from 1
    for guid, record in records.items():
        name = record.user
        user = None if name is None else name.encode()
        metadata = record.metadata.encode()
        user_at, metadata_at = at + 16, at + 16 + len(user or b"")
        index.append(
            [
                at,
                record.expire,
                record.version,
                user_at,
                None if user is None else len(user),
                metadata_at,
                len(metadata),
            ]
        )
        pieces += [guid, user or b"", metadata]
        at = metadata_at + len(metadata)
    connection.execute(_PUT, {"index": json.dumps(index), "bytes": b"".join(pieces)})


def delete(connection: sqlite3.Connection, guids: Sequence[bytes]) -> None:
    """Deletes the records that exist."""
    if guids:
        connection.execute(_DELETE, _rows(guids))


def purge(connection: sqlite3.Connection, now: int, limit: int) -> int:
    """Deletes at most `limit` records that are expired at `now`; returns how many."""
    return connection.execute(_PURGE, {"now": now, "limit": limit}).rowcount


def _one(connection: sqlite3.Connection, statement: str, guids: Sequence[bytes]) -> Any:
    """Runs a statement that returns one row with one JSON text, and decodes the text."""
    [text] = connection.execute(statement, _rows(guids)).fetchone()
    return json.loads(text)


def _rows(guids: Sequence[bytes]) -> dict[str, str | bytes]:
    """Returns the parameters for GUIDs; only the positions of the index's entries matter."""
    index = f"[{',0' * len(guids)}]".replace(",", "", 1)
    return {"index": index, "bytes": b"".join(guids)}
