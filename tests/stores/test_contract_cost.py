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
from tests.stores.records import NOW, guid_of, make_record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from guidkeep.stores import Store

    Ask = Callable[[], Awaitable[object]]
    Examined = Callable[[Any, Ask, pytest.MonkeyPatch], Awaitable[int]]

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


async def of_sqlite(store: Any, ask: Ask, _: pytest.MonkeyPatch) -> int:
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


async def of_mysql(store: Any, ask: Ask, _: pytest.MonkeyPatch) -> int:
    async def read() -> int:
        deadline = asyncio.get_running_loop().time() + 60
        rows = await store._ask("SHOW GLOBAL STATUS LIKE 'Handler_read%'", deadline)
        return sum(int(value) for _, value in rows)

    first = await read()
    before = await read()
    await ask()
    return await read() - before - (before - first)


async def of_postgresql(store: Any, ask: Ask, patch: pytest.MonkeyPatch) -> int:
    """Runs each statement again, with EXPLAIN."""
    really, asked = store._ask, list[tuple[str, tuple[Any, ...]]]()

    async def remember(statement: str, *arguments: Any, deadline: float) -> Any:
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


async def analyze_in_postgresql(store: Any) -> None:
    await store._ask("ANALYZE record", deadline=asyncio.get_running_loop().time() + 60)


EXAMINED: Mapping[str, Examined | None] = {
    "sqlite": of_sqlite,
    "mysql": of_mysql,
    "postgresql": of_postgresql,
    "mongodb": None,
}
"""How to count what each store examines; None: its server here examines everything."""
ANALYZE: Mapping[str, Callable[[Any], Awaitable[None]]] = {"postgresql": analyze_in_postgresql}
"""Makes the statistics of a planner that has them: pages are cheap with and without."""


@pytest.fixture
def examined_by(backend: str) -> Examined:
    """Skips the test before a store is opened for it in vain."""
    return EXAMINED[backend] or pytest.skip("its server here examines everything")


async def test_no_page_costs_more_for_there_being_more_records(
    examined_by: Examined, store: Store, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WINDOW", "WINDOW_OF_A_USER", "FEW", "FEW_OF_A_USER"):
        monkeypatch.setattr(paging, name, 100)
    monkeypatch.setattr(paging, "MOST", 50)
    await examined_by(store, store.ping, monkeypatch)
    await fill(store)
    await all_are_cheap(store, examined_by, monkeypatch)
    if backend in ANALYZE:
        await ANALYZE[backend](store)
        await all_are_cheap(store, examined_by, monkeypatch)


async def all_are_cheap(store: Store, examined_by: Examined, patch: pytest.MonkeyPatch) -> None:
    for query in QUERIES:

        async def ask(query: Query = query) -> None:
            await paging.read_page(store, query, NOW)

        assert await examined_by(store, ask, patch) < BOUND, query
