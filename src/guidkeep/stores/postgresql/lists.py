"""The statements of a PostgreSQL store for pages of records and for counts. Pure.

PostgreSQL has no index hints, and the planner's statistics may be old or missing. So a statement
that walks along an index has conditions, or an order, that no other index serves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guidkeep.record import Query

NEXT = """
SELECT expire FROM record WHERE expire >= $1::bigint AND expire < $2::bigint
ORDER BY expire LIMIT 1 OFFSET $3::bigint
"""
COUNT = "SELECT count(*) FROM record WHERE expire >= $1::bigint AND expire < $2::bigint"

# The first part sorts, or passes over, GUIDs without their metadata. The second finds each record
# by its GUID: OFFSET 0 keeps the planner from joining with the whole table.
_PAGE = """
WITH walked AS MATERIALIZED (
    SELECT guid, expire, "user" FROM record WHERE {walked}
), found AS MATERIALIZED (
    SELECT guid FROM walked WHERE {found} ORDER BY guid LIMIT {limit}::bigint
)
SELECT found.guid, looked_up.expire, version, metadata
FROM found CROSS JOIN LATERAL (SELECT * FROM record WHERE guid = found.guid OFFSET 0) AS looked_up
ORDER BY found.guid
"""
_SKIP = """
SELECT guid FROM record WHERE guid > {after}::bytea ORDER BY guid LIMIT 1 OFFSET {count}::bigint - 1
"""
# A comparison of rows: with an equation the planner may walk through the records of all users.
_SKIP_OF_A_USER = """
SELECT guid FROM record
WHERE "user" IS NOT NULL AND sha256("user") <= sha256({user}::bytea)
    AND (sha256("user"), guid) > (sha256({user}::bytea), {after}::bytea)
ORDER BY sha256("user"), guid LIMIT 1 OFFSET {count}::bigint - 1
"""


class _Arguments:
    """Collects the arguments, and gives each its name in the statement."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def __call__(self, value: object) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def page(query: Query, now: int) -> tuple[str, list[Any]]:
    """Finds live records in GUID order; `now` is Unix time in seconds.

    Returns:
        The statement and its arguments.
    """
    argument = _Arguments()
    expiring = [f"expire > {argument(now)}::bigint"]
    walk = [f"guid > {argument(_after(query))}::bytea"]
    if query.expires_before is not None:
        expiring.append(f"expire < {argument(query.expires_before)}::bigint")
    if query.until is not None:
        walk.append(f"guid <= {argument(bytes.fromhex(query.until))}::bytea")
    walked, found = (expiring, walk) if query.by_expire else (walk, expiring)
    if query.user is not None:
        user = argument(query.user.encode())
        if not query.by_expire:
            walked.append(f'sha256("user") = sha256({user}::bytea)')
        found.append(f'"user" = {user}::bytea')  # the hash finds it; the bytes decide
    statement = _PAGE.format(
        walked=" AND ".join(walked), found=" AND ".join(found), limit=argument(query.limit)
    )
    return statement, argument.values


def skip(query: Query, count: int) -> tuple[str, list[Any]]:
    """Finds the GUID `count` places after the query's start.

    Returns:
        The statement and its arguments.
    """
    argument = _Arguments()
    named = {"after": argument(_after(query)), "count": argument(count)}
    if query.user is None:
        return _SKIP.format(**named), argument.values
    named["user"] = argument(query.user.encode())
    return _SKIP_OF_A_USER.format(**named), argument.values


def _after(query: Query) -> bytes:
    return bytes.fromhex(query.after or "")
