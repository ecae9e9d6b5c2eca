"""What SQLite is asked for pages of records and for counts, and how."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from guidkeep.record import Record
from guidkeep.stores import Counted, until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guidkeep.record import Query

FEW = 10_000
"""Records that are found by `expire` and sorted sooner than met among all in GUID order."""

_PAGE = """
SELECT {columns} FROM (SELECT * FROM record {index} WHERE {where} ORDER BY guid LIMIT :limit)
"""
_COLUMNS = "hex(guid), expire, version, metadata"
_AS_ONE = f"json_group_array(json_array({_COLUMNS}))"
_EXPIRING = """
SELECT count(*)
FROM (SELECT 1 FROM record WHERE expire > :now AND expire < :before LIMIT :few + 1)
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
    """Records that are live at `now`, in GUID order. Raises sqlite3.Error."""
    where = ["expire > :now"]
    values: dict[str, Any] = {"now": now, "limit": query.limit}
    if query.after is not None:
        where.append("guid > :after")
        values["after"] = bytes.fromhex(query.after)
    if query.user is not None:
        where.append("user = :user")
        values["user"] = query.user.encode()
    if query.expires_before is not None:
        where.append("expire < :before")
        values["before"] = query.expires_before
    wanted = {"index": _index(connection, values), "where": " AND ".join(where)}
    try:
        [text] = connection.execute(_PAGE.format(columns=_AS_ONE, **wanted), values).fetchone()
        rows = json.loads(text)
    except sqlite3.DataError:  # as one value it would be longer than any may be: a billion bytes
        rows = connection.execute(_PAGE.format(columns=_COLUMNS, **wanted), values).fetchall()
    return [Record(*row) for row in rows]


def count(connection: sqlite3.Connection, first: int, before: int, limit: int) -> Counted:
    """Counts records by their `expire`, about `limit` of them. Raises sqlite3.Error."""
    values = {"first": first, "before": before, "limit": limit}
    found = connection.execute(_NEXT, values).fetchone()
    end = until(found and found[0], first, before)
    [records] = connection.execute(_COUNT, values | {"before": end}).fetchone()
    return Counted(records, end)


def _index(connection: sqlite3.Connection, values: Mapping[str, Any]) -> str:
    """How to look for records that expire soon: by `expire` if they are few, else by GUID.

    In GUID order a hundred are soon met if they are many, but if they are few the whole
    table is read. SQLite keeps no figures that would tell it which it is.
    """
    if "before" not in values or "user" in values:
        return ""
    [found] = connection.execute(_EXPIRING, {**values, "few": FEW}).fetchone()
    return "INDEXED BY record_by_expire" if found <= FEW else ""
