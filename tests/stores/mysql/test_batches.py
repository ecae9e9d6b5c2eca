"""Batches of a MySQL store: each operation has the same outcome as alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from asyncmy.errors import IntegrityError, OperationalError

from guidkeep.errors import StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.record import Query
from guidkeep.stores.mysql.adapter import Connection
from tests.stores.mysql.conftest import locked
from tests.stores.records import NOW, batches_of, guid_of, make_record
from tests.support import outcomes

if TYPE_CHECKING:
    from guidkeep.stores.mysql.adapter import Rows
    from guidkeep.stores.mysql.store import MySQLStore
    from guidkeep.testing.opening import Opener


async def test_a_row_that_another_holds_does_not_hold_up_the_others_of_its_batch(
    opened: MySQLStore,
) -> None:
    taken = "INSERT INTO record VALUES (REPEAT('\\0', 16), 1, 1, NULL, NULL, '{}')"
    async with locked(opened, taken):
        done = await outcomes(*(opened.insert(make_record(number)) for number in range(4)))
    assert isinstance(done[0], StoreUnavailable)
    assert done[1:] == [True] * 3
    assert [record.guid for record in await opened.page(Query(), NOW)] == [
        guid_of(number) for number in range(1, 4)
    ]


async def test_a_batch_that_loses_once_is_sent_again(
    opened: MySQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a deadlock, or a failed certification, the server has written nothing."""
    run = Connection.run
    refused: list[str] = []

    async def refuse_one(self: Connection, statement: str) -> Rows:
        if "INSERT" in statement and not refused:
            refused.append(statement)
            raise OperationalError(1213, "deadlock")
        return await run(self, statement)

    monkeypatch.setattr(Connection, "run", refuse_one)
    assert await outcomes(*(opened.insert(make_record(number)) for number in range(9))) == (
        [True] * 9
    )
    assert refused


async def test_a_batch_that_loses_always_goes_one_by_one(
    opened: MySQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Connection.run

    async def refuse_batches(self: Connection, statement: str) -> Rows:
        if "INSERT" in statement and statement.count("(x'") > 1:
            raise OperationalError(1213, "deadlock")
        return await run(self, statement)

    monkeypatch.setattr(Connection, "run", refuse_batches)
    assert await opened.insert(make_record(3))
    done = await outcomes(*(opened.insert(make_record(number)) for number in range(9)))
    assert done == [number != 3 for number in range(9)]


async def test_a_batch_decides_each_insert_by_the_stored_record(opened: MySQLStore) -> None:
    """A batch with expired, live and absent records, some twice: each outcome is as alone."""
    for number in range(12):
        kind = number % 3
        if kind < 2:
            await opened.insert(make_record(number, expire=NOW + kind))
    rivals = [make_record(number, version=2) for number in range(12)] * 2
    done = await outcomes(*(opened.insert(rival) for rival in rivals))
    assert done == [number % 3 == 2 for number in range(12)] + [False] * 12


async def test_a_record_that_is_gone_when_it_is_looked_at_is_inserted(
    opened: MySQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record existed when the batch was refused, and was deleted before the look."""
    run = Connection.run
    assert await opened.insert(make_record(1))

    async def delete_before(self: Connection, statement: str) -> Rows:
        if "SELECT guid FROM" in statement:
            await run(self, "DELETE FROM record")
        return await run(self, statement)

    monkeypatch.setattr(Connection, "run", delete_before)
    new = make_record(1, user="Bob")
    assert await opened.insert(new)
    assert await opened.get(new.guid) == new


async def test_a_record_that_comes_and_goes_all_the_time_is_given_up(
    opened: MySQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Connection.run

    async def refuse(self: Connection, statement: str) -> Rows:
        if "INSERT" in statement:
            raise IntegrityError(1062, "duplicate")
        return await run(self, statement)

    monkeypatch.setattr(Connection, "run", refuse)
    with pytest.raises(StoreUnavailable, match="nothing was written"):
        await opened.insert(make_record(1))


async def test_nothing_is_known_of_a_batch_that_can_be_refused_but_not_looked_at(
    opened: MySQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Connection.run
    assert await opened.insert(make_record(1))

    async def blind(self: Connection, statement: str) -> Rows:
        if "SELECT" in statement:
            raise OperationalError(2013, "no response")
        return await run(self, statement)

    monkeypatch.setattr(Connection, "run", blind)
    with pytest.raises(StoreUnavailable, match="nothing was written"):
        await opened.insert(make_record(1))


async def test_operations_that_arrive_together_share_a_batch(opener: Opener) -> None:
    metrics = Metrics()
    async with opener(metrics=metrics) as store:
        records = [make_record(number) for number in range(100)]
        await asyncio.gather(*(store.insert(record) for record in records))
        assert batches_of(metrics, "write") == (1, 100)
        await asyncio.gather(*(store.get(record.guid) for record in records))
        assert batches_of(metrics, "read") == (1, 100)
