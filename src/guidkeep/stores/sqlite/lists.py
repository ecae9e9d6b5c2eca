"""SQLite's statements for pages of records and for counts.

Each statement names the index that it walks along: SQLite has no statistics to choose by, and would
sort the whole table when it uses another index.
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from guidkeep.record import Record
from guidkeep.stores import Counted, until

if TYPE_CHECKING:
    from guidkeep.record import Query

_BY_GUID = "NOT INDEXED"  # the table is its primary key's index
_BY_EXPIRE = "INDEXED BY record_by_expire"
_BY_USER = "INDEXED BY record_by_user"  # then by GUID: each index ends with the primary key

# First the GUIDs: so they are sorted or skipped without the metadata.
_PAGE = """
SELECT {columns} FROM (
    SELECT guid AS found FROM record {index} WHERE {where} ORDER BY guid LIMIT :limit
) CROSS JOIN record ON guid = found
"""
_COLUMNS = "hex(guid), expire, version, metadata"
_AS_ONE = f"json_group_array(json_array({_COLUMNS}))"
_SKIP = """
SELECT hex(guid) FROM record {index} WHERE {where} ORDER BY guid LIMIT 1 OFFSET :count - 1
"""
_NEXT = """
SELECT expire FROM record INDEXED BY record_by_expire
WHERE expire >= :first AND expire < :before ORDER BY expire LIMIT 1 OFFSET :limit
"""
_COUNT = """
SELECT count(*) FROM record INDEXED BY record_by_expire
WHERE expire >= :first AND expire < :before
"""


def page(connection: sqlite3.Connection, query: Query, now: int) -> list[Record]:
    """Returns records that are live at `now`, in GUID order. Raises sqlite3.Error."""
    statement, values = page_statement(query, now)
    try:
        [text] = connection.execute(statement.format(columns=_AS_ONE), values).fetchone()
        rows = json.loads(text)
    except sqlite3.DataError:  # one value may have at most a billion bytes
        rows = connection.execute(statement.format(columns=_COLUMNS), values).fetchall()
    return [Record(*row) for row in rows]


def page_statement(query: Query, now: int) -> tuple[str, dict[str, Any]]:
    """Returns a page's statement, with {columns} in place of its columns, and its parameters."""
    where, values = _walk(query)
    where.append("expire > :now")
    values |= {"now": now, "limit": query.limit}
    if query.until is not None:
        where.append("guid <= :until")
        values["until"] = bytes.fromhex(query.until)
    if query.expires_before is not None:
        where.append("expire < :before")
        values["before"] = query.expires_before
    index = _BY_EXPIRE if query.by_expire else _index(query)
    return _PAGE.format(columns="{columns}", index=index, where=" AND ".join(where)), values


def skip(connection: sqlite3.Connection, query: Query, count: int) -> str | None:
    """Returns the GUID that comes `count` positions after the query's. Raises sqlite3.Error."""
    statement, values = skip_statement(query, count)
    found = connection.execute(statement, values).fetchone()
    return found and str(found[0])


def skip_statement(query: Query, count: int) -> tuple[str, dict[str, Any]]:
    """Returns the statement of `skip` and its parameters."""
    where, values = _walk(query)
    return _SKIP.format(index=_index(query), where=" AND ".join(where)), values | {"count": count}


def count(connection: sqlite3.Connection, first: int, before: int, limit: int) -> Counted:
    """Counts records by their `expire`, about `limit` of them. Raises sqlite3.Error."""
    values = {"first": first, "before": before, "limit": limit}
    found = connection.execute(_NEXT, values).fetchone()
    end = until(found and found[0], first, before)
    [records] = connection.execute(_COUNT, values | {"before": end}).fetchone()
    return Counted(records, end)


def _index(query: Query) -> str:
    return _BY_GUID if query.user is None else _BY_USER


def _walk(query: Query) -> tuple[list[str], dict[str, Any]]:
    """Returns the bounds of a walk in GUID order: conditions and parameters."""
    where, values = ["guid > :after"], {"after": bytes.fromhex(query.after or "")}
    if query.user is not None:
        where.append("user = :user")
        values["user"] = query.user.encode()
    return where, dict(values)
