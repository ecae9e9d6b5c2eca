"""Real faults under a running MySQL store: it reports an error, loses nothing, recovers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from asyncmy.errors import OperationalError

from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.stores.mysql.adapter import Connection
from guidkeep.stores.mysql.store import MySQLStore
from guidkeep.testing.opening import opener_of
from tests.stores.mysql.conftest import another, locked, name_of
from tests.stores.records import NOW, guid_of, make_record, newer
from tests.support import outcomes, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.stores.mysql.adapter import Rows
    from servers.mysql import Server


async def test_a_row_that_another_holds_is_503_and_nothing_was_written(
    opened: MySQLStore,
) -> None:
    for number in range(3):
        assert await opened.insert(make_record(number, expire=NOW))
    async with locked(opened, "SELECT * FROM record FOR UPDATE"):
        done = await outcomes(
            opened.replace(newer(make_record(0)), 1),
            opened.delete(guid_of(1), 1),
            opened.insert(make_record(2)),
        )
        assert [type(error) for error in done] == [StoreUnavailable] * 3
        assert {str(error) for error in done} == {
            "The store can't write at the moment; nothing was written."
        }
    assert await opened.get(guid_of(0)) == make_record(0, expire=NOW)
    assert await opened.delete(guid_of(0), 1)


async def test_a_table_that_is_gone_is_503(server: Server, new_url: Callable[[], str]) -> None:
    url = new_url()
    async with opener_of(url)() as store:
        assert await store.insert(make_record(1))
        server.run(f"DROP TABLE {name_of(url)}.record")
        done = await outcomes(
            store.get(guid_of(1)), store.insert(make_record(2)), store.delete(guid_of(1), 1)
        )
        assert [type(error) for error in done] == [StoreUnavailable] * 3
        assert not any(name_of(url) in str(error) for error in done)


async def test_a_statement_that_is_killed_leaves_its_outcome_open(
    server: Server, new_url: Callable[[], str]
) -> None:
    url = new_url()
    store = await MySQLStore.open(url, timeout=20.0, metrics=Metrics())
    assert await store.insert(make_record(1))
    deletes = (
        "SELECT id FROM information_schema.PROCESSLIST "
        f"WHERE db = '{name_of(url)}' AND info LIKE '%DELETE%'"
    )
    async with locked(store, "SELECT * FROM record FOR UPDATE"):
        deleting = asyncio.ensure_future(store.delete(guid_of(1), 1))
        await until(lambda: server.run(deletes))
        server.run(f"KILL QUERY {server.run(deletes)}")
        with pytest.raises(OutcomeUnknown):
            await deleting
    await store.close()


async def test_real_deadlocks_are_overcome(opened: MySQLStore) -> None:
    """Another connection locks the rows in the opposite order, again and again."""
    records = [make_record(number, expire=NOW) for number in range(40)]
    await outcomes(*(opened.insert(record) for record in records))
    other = await another(opened)

    async def oppose() -> None:
        for _ in range(20):
            try:
                for record in reversed(records):
                    await other.query(
                        f"UPDATE record SET version = version WHERE guid = x'{record.guid}'"
                    )
                await other.commit()
            except Exception:  # noqa: BLE001 - the server rolled it back
                await other.rollback()

    opposing = asyncio.create_task(oppose())
    version = 1
    while not opposing.done():
        done = await outcomes(
            *(opened.replace(make_record(at, version=version + 1), version) for at in range(40)),
        )
        assert done == [True] * 40
        version += 1
    await opposing
    await other.ensure_closed()


async def test_a_write_that_always_loses_is_503_and_nothing_was_written(
    opened: MySQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: Connection, statement: str) -> Rows:
        raise OperationalError(1213, "deadlock")

    monkeypatch.setattr(Connection, "run", refuse)
    done = await outcomes(
        opened.insert(make_record()),
        opened.replace(make_record(), 1),
        opened.purge(NOW, 1),
        opened.get(guid_of(1)),
    )
    assert [type(error) for error in done] == [StoreUnavailable] * 4
