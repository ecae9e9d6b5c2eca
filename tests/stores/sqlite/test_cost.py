"""What a page costs SQLite: what it answers decides, not how many records there are."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import TYPE_CHECKING

from guidkeep import lists
from guidkeep.record import Query
from guidkeep.stores.sqlite import SQLiteStore
from tests.stores.records import NOW, guid_of, make_record

if TYPE_CHECKING:
    import pytest

    from guidkeep.stores import Store

MANY = 10_000
BOUND = MANY // 100
"""Hundreds of steps: to look at each record once takes some times as many."""
FAR = 1_000_000


class Cost:
    """Steps of SQLite's machine, in hundreds."""

    def __init__(self, store: SQLiteStore) -> None:
        self.steps = 0
        for connection in (store._lister, store._counter):
            connection.set_progress_handler(self._step, 100)

    def _step(self) -> int:
        self.steps += 1
        return 0


async def fill(store: Store) -> None:
    """One in ten is Bob's, one in fifty expires soon."""
    records = (
        make_record(
            at,
            user="Bob" if at % 10 == 0 else "Ann",
            expire=NOW + (10 if at % 50 == 0 else FAR) + at % 7,
        )
        for at in range(MANY)
    )
    await asyncio.gather(*(store.insert(record) for record in records))


QUERIES = [
    Query(limit, None if after is None else guid_of(after), user, before)
    for limit, after, user, before in product(
        (1, 100), (None, 1000), (None, "Ann", "Bob", "Eve"), (None, NOW, NOW + 50, NOW + FAR)
    )
]


async def test_what_a_page_costs_does_not_depend_on_how_many_records_there_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WINDOW", "EXAMINED", "FEW", "FEW_OF_A_USER"):
        monkeypatch.setattr(lists, name, 100)
    assert isinstance(store, SQLiteStore)
    await fill(store)
    cost = Cost(store)
    for query in QUERIES:
        cost.steps = 0
        await lists.read_page(store, query, NOW)
        assert cost.steps < BOUND, query
