"""The cost of a page for a store: it depends on the windows, not on the number of records.

The server counts the index entries and records that it has examined. FerretDB, in place of MongoDB
here, examines every document for every query.
"""

from __future__ import annotations

import asyncio
import json
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.record import Query
from guidkeep.registry import paging
from guidkeep.stores.mysql.store import MySQLStore
from guidkeep.stores.postgresql.store import PostgreSQLStore
from guidkeep.stores.sqlite.store import SQLiteStore
from tests.stores.records import NOW, guid_of, make_record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from guidkeep.stores import Store

RECORDS = 10_000
BOUND = RECORDS // 5
FAR = 1_000_000
QUERIES = [
    Query(limit, None if after is None else guid_of(after), user, before)
    for limit, after, user, before in product(
        (1, 100), (None, 1000), (None, "Ann", "Bob", "Eve"), (None, NOW, NOW + 50, NOW + FAR)
    )
]


async def fill(store: Store) -> None:
    """Stores records; one in ten is Bob's, one in fifty expires soon."""
    records = (
        make_record(
            at,
            user="Bob" if at % 10 == 0 else "Ann",
            expire=NOW + (10 if at % 50 == 0 else FAR) + at % 7,
        )
        for at in range(RECORDS)
    )
    await asyncio.gather(*(store.insert(record) for record in records))


async def of_sqlite(store: SQLiteStore, ask: Callable[[], Awaitable[object]]) -> int:
    """Counts steps of SQLite's virtual machine, which takes at least five for each entry."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 10
        return 0

    for connection in (store._lister, store._counter):
        connection.set_progress_handler(step, 10)
    await ask()
    return steps // 5


async def of_mysql(store: MySQLStore, ask: Callable[[], Awaitable[object]]) -> int:
    async def read() -> int:
        deadline = asyncio.get_running_loop().time() + 60
        rows = await store._ask("SHOW GLOBAL STATUS LIKE 'Handler_read%'", deadline)
        return sum(int(value) for _, value in rows)

    first = await read()
    before = await read()
    await ask()
    return await read() - before - (before - first)


async def of_postgresql(
    store: PostgreSQLStore, ask: Callable[[], Awaitable[object]], patch: pytest.MonkeyPatch
) -> int:
    """Runs each statement again, with EXPLAIN."""
    really, asked = store._ask, list[tuple[str, tuple[Any, ...]]]()

    async def remember(statement: str, *arguments: Any, deadline: float) -> Sequence[Any]:
        asked.append((statement, arguments))
        return await really(statement, *arguments, deadline=deadline)

    with patch.context() as patched:
        patched.setattr(store, "_ask", remember)
        await ask()
    deadline = asyncio.get_running_loop().time() + 60
    examined = 0
    for statement, arguments in asked:
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        [[explained]] = await really(explain, *arguments, deadline=deadline)
        examined += sum(map(_rows, _scans(json.loads(explained)[0]["Plan"])))
    return examined


def _scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Index Name" in plan or plan["Node Type"] == "Seq Scan":
        yield plan
    for part in plan.get("Plans", ()):
        yield from _scans(part)


def _rows(scan: dict[str, Any]) -> int:
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    rows = scan["Actual Rows"] + sum(scan.get(name, 0) for name in removed)
    return int(rows * scan["Actual Loops"])


async def examined_by(
    store: Store, ask: Callable[[], Awaitable[object]], patch: pytest.MonkeyPatch
) -> int:
    if isinstance(store, SQLiteStore):
        return await of_sqlite(store, ask)
    if isinstance(store, MySQLStore):
        return await of_mysql(store, ask)
    if isinstance(store, PostgreSQLStore):
        return await of_postgresql(store, ask, patch)
    pytest.skip("FerretDB looks at every document")


async def test_no_page_costs_more_for_there_being_more_records(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WINDOW", "WINDOW_OF_A_USER", "FEW", "FEW_OF_A_USER"):
        monkeypatch.setattr(paging, name, 100)
    monkeypatch.setattr(paging, "MOST", 50)
    await examined_by(store, store.ping, monkeypatch)
    await fill(store)
    await all_are_cheap(store, monkeypatch)
    if isinstance(store, PostgreSQLStore):  # with and without its planner's statistics
        await store._ask("ANALYZE record", deadline=asyncio.get_running_loop().time() + 60)
        await all_are_cheap(store, monkeypatch)


async def all_are_cheap(store: Store, patch: pytest.MonkeyPatch) -> None:
    for query in QUERIES:

        async def ask(query: Query = query) -> None:
            await paging.read_page(store, query, NOW)

        assert await examined_by(store, ask, patch) < BOUND, query
