"""The statements of a PostgreSQL store for pages of records and for counts. Pure.

The planner can't be told which index to take, and its figures may be old or none. So what walks
along an index has conditions, or an order, that no other index serves.
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

# The GUIDs first: they are sorted, or passed over, without the metadata.
_PAGE = """
WITH walked AS MATERIALIZED (
    SELECT guid, expire, "user" FROM record WHERE {walked}
), found AS MATERIALIZED (
    SELECT guid FROM walked WHERE {found} ORDER BY guid LIMIT {limit}::bigint
)
SELECT guid, record.expire, version, metadata FROM found JOIN record USING (guid) ORDER BY guid
"""
_SKIP = """
SELECT guid FROM record WHERE {walked} ORDER BY {order} LIMIT 1 OFFSET {count}::bigint - 1
"""
# Of a user: by a comparison of rows, since with an equation the planner may walk through all users.
_BY_USER = 'sha256("user"), guid'
_USERS = '"user" IS NOT NULL AND sha256("user") <= sha256({user}::bytea)'


class _Arguments:
    """Collects them, and gives each its name in the statement."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def __call__(self, value: object) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def page(query: Query, now: int) -> tuple[str, list[Any]]:
    """Finds live records in GUID order, and its arguments; `now` is Unix time in seconds."""
    argument = _Arguments()
    expiring = [f"expire > {argument(now)}::bigint"]
    if query.expires_before is not None:
        expiring.append(f"expire < {argument(query.expires_before)}::bigint")
    if query.by_expire:
        walked, found = expiring, [f"guid > {argument(_after(query))}::bytea"]
    else:
        walked, found = _walked(query, argument), expiring
    if query.user is not None:  # the hash finds it; the bytes decide
        found.append(f'"user" = {argument(query.user.encode())}::bytea')
    statement = _PAGE.format(
        walked=" AND ".join(walked), found=" AND ".join(found), limit=argument(query.limit)
    )
    return statement, argument.values


def skip(query: Query, count: int) -> tuple[str, list[Any]]:
    """Finds the GUID that comes so many after the query's, and its arguments."""
    argument = _Arguments()
    statement = _SKIP.format(
        walked=" AND ".join(_walked(query, argument)),
        order="guid" if query.user is None else _BY_USER,
        count=argument(count),
    )
    return statement, argument.values


def _walked(query: Query, argument: _Arguments) -> list[str]:
    """The conditions that bound a walk in the order of GUIDs."""
    after = f"{argument(_after(query))}::bytea"
    until = query.until and f"{argument(bytes.fromhex(query.until))}::bytea"
    if query.user is None:
        return [f"guid > {after}", *([f"guid <= {until}"] if until else [])]
    user = argument(query.user.encode())
    conditions = [_USERS.format(user=user), f"({_BY_USER}) > (sha256({user}::bytea), {after})"]
    if until:
        conditions.append(f"({_BY_USER}) <= (sha256({user}::bytea), {until})")
    return conditions


def _after(query: Query) -> bytes:
    return bytes.fromhex(query.after or "")
