"""The statements of a MySQL store, as text. Pure.

Bytes are written as hexadecimal literals: nothing is escaped, every statement is ASCII, and no
character set, collation or sql_mode applies. Each statement names its index, because an optimizer
without statistics may read the whole table instead.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from guidkeep.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guidkeep.record import Query

_BY_GUID = """
SELECT {columns} FROM record FORCE INDEX (PRIMARY) WHERE guid IN ({guids})
"""
# The inner query sorts, or passes over, GUIDs without their metadata.
_PAGE = """
SELECT record.guid, expire, version, metadata
FROM (
    SELECT guid FROM record FORCE INDEX ({index}) WHERE {where} ORDER BY guid LIMIT {limit}
) AS found STRAIGHT_JOIN record FORCE INDEX (PRIMARY) ON record.guid = found.guid
ORDER BY record.guid
"""
_SKIP = """
SELECT guid FROM record FORCE INDEX ({index}) WHERE {where} ORDER BY guid LIMIT {passed}, 1
"""
_NEXT = """
SELECT expire FROM record FORCE INDEX (record_by_expire)
WHERE expire >= {first} AND expire < {before} ORDER BY expire LIMIT {limit}, 1
"""
_COUNT = """
SELECT count(*) FROM record FORCE INDEX (record_by_expire)
WHERE expire >= {first} AND expire < {before}
"""
_EXPIRED = """
SELECT guid FROM record FORCE INDEX (record_by_expire)
WHERE expire <= {now} ORDER BY expire LIMIT {limit}
"""
_INSERT = """
INSERT INTO record (guid, expire, version, user, user_key, metadata) VALUES {rows}
"""
_REPLACE = """
UPDATE record SET expire = {0.expire}, version = {0.version},
    user = {0.user}, user_key = {0.user_key}, metadata = {0.metadata}
WHERE guid = {0.guid} AND version = {version}
"""
_DELETE = """
DELETE FROM record WHERE guid = {guid} AND version = {version}
"""
_PURGE = """
DELETE FROM record WHERE guid IN ({guids}) AND expire <= {now}
"""


CLOCK = "SELECT unix_timestamp(sysdate(3))"


class Row(NamedTuple):
    """A record as the literals of its columns."""

    guid: str
    expire: str
    version: str
    user: str
    user_key: str
    metadata: str

    def __repr__(self) -> str:
        """Leaves out the values, so that no log has them."""
        return "Row(...)"

    @classmethod
    def of(cls, record: Record) -> Row:
        """Returns the row of the record."""
        name = record.user
        user = None if name is None else name.encode()
        return cls(
            literal(bytes.fromhex(record.guid)),
            f"{record.expire:d}",
            f"{record.version:d}",
            "NULL" if user is None else literal(user),
            "NULL" if user is None else literal(_key(user)),
            literal(record.metadata.encode()),
        )

    @property
    def size(self) -> int:
        """Its size in a statement, in bytes."""
        return sum(map(len, self)) + len(self) + 2


def literal(data: bytes) -> str:
    """Returns the bytes as a literal of SQL."""
    return f"x'{data.hex()}'"


def record_of(guid: bytes, expire: int, version: int, metadata: bytes) -> Record:
    """Returns the record of a row that `read` or `page` found."""
    return Record(guid.hex().upper(), expire, version, metadata.decode())


def read(guids: Iterable[bytes]) -> str:
    """Finds records."""
    return _BY_GUID.format(columns="guid, expire, version, metadata", guids=_list(guids))


def present(guids: Iterable[bytes]) -> str:
    """Finds the GUIDs that have a record."""
    return _BY_GUID.format(columns="guid", guids=_list(guids))


def page(query: Query, now: int) -> str:
    """Finds live records in GUID order; `now` is Unix time in seconds."""
    index, where = _walk(query)
    where.append(f"expire > {now:d}")
    if query.until is not None:
        where.append(f"guid <= {literal(bytes.fromhex(query.until))}")
    if query.expires_before is not None:
        where.append(f"expire < {query.expires_before:d}")
    if query.user is not None:  # the key finds it; the bytes decide
        where.append(f"user = {literal(query.user.encode())}")
    if query.by_expire:
        index = "record_by_expire"
    return _PAGE.format(index=index, where=" AND ".join(where), limit=query.limit)


def skip(query: Query, count: int) -> str:
    """Finds the GUID `count` places after the query's start."""
    index, where = _walk(query)
    return _SKIP.format(index=index, where=" AND ".join(where), passed=count - 1)


def following(first: int, before: int, limit: int) -> str:
    """Skips `limit` of the records that expire at `first` or later; finds the next `expire`."""
    return _NEXT.format(first=first, before=before, limit=limit)


def count(first: int, before: int) -> str:
    """Counts records that expire from `first` on and before `before`."""
    return _COUNT.format(first=first, before=before)


def expired(now: int, limit: int) -> str:
    """Finds GUIDs of expired records, the longest expired first."""
    return _EXPIRED.format(now=now, limit=limit)


def insert(rows: Iterable[Row]) -> str:
    """Writes all of the records, or none if one of the GUIDs has a record already."""
    return _INSERT.format(rows=",".join(f"({','.join(row)})" for row in rows))


def replace(row: Row, version: int) -> str:
    """Replaces the record if it has that version."""
    return _REPLACE.format(row, version=version)


def delete(guid: bytes, version: int) -> str:
    """Deletes the record if it has that version."""
    return _DELETE.format(guid=literal(guid), version=version)


def purge(guids: Iterable[bytes], now: int) -> str:
    """Deletes the records of these GUIDs that are expired."""
    return _PURGE.format(guids=_list(guids), now=now)


def _walk(query: Query) -> tuple[str, list[str]]:
    """Returns the index of a walk in GUID order, and the conditions that bound it."""
    after = f"guid > {literal(bytes.fromhex(query.after or ''))}"
    if query.user is None:
        return "PRIMARY", [after]
    return "record_by_user", [f"user_key = {literal(_key(query.user.encode()))}", after]


def _list(guids: Iterable[bytes]) -> str:
    return ",".join(map(literal, guids))


def _key(user: bytes) -> bytes:
    """Returns the user's key in the index, which accepts no long keys."""
    return blake2b(user, digest_size=16).digest()
