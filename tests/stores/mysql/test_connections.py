"""Connections to a MySQL server: bounded, checked, replaced, and none left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.errors import StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.record import Query
from guidkeep.stores.mysql.adapter import Adapter
from guidkeep.stores.mysql.store import PORT, MySQLStore
from guidkeep.stores.remote import pool
from guidkeep.stores.remote.failures import NotSent, judge
from guidkeep.testing.opening import opener_of
from guidkeep.urls import Address
from tests.stores.mysql.conftest import narrow, sessions
from tests.stores.records import NOW, guid_of, make_record, newer
from tests.support import outcomes, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.mysql import Server


async def test_connections_that_the_server_closed_meanwhile_are_not_noticed(
    server: Server, new_url: Callable[[], str]
) -> None:
    url = new_url()
    async with opener_of(url)() as store:
        for number in range(5):
            await outcomes(*(store.replace(make_record(number), 1) for _ in range(9)))
            for session in sessions(server, url):
                server.run(f"KILL CONNECTION {session}")
            await until(lambda: not sessions(server, url))
            assert await store.insert(make_record(number))
            assert await store.get(guid_of(number)) == make_record(number)


async def test_a_connection_that_was_idle_for_long_is_tried_first(
    server: Server, new_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.0)
    url = new_url()
    async with opener_of(url)() as store:
        assert await store.insert(make_record(1))
        before = sessions(server, url)
        assert await store.get(guid_of(1)) == make_record(1)
        assert sessions(server, url) == before
        for session in before:
            server.run(f"KILL CONNECTION {session}")
        assert await store.insert(make_record(2))
        assert not set(sessions(server, url)) & set(before)


async def test_no_more_connections_are_open_than_the_url_allows_and_none_after_the_end(
    server: Server, new_url: Callable[[], str]
) -> None:
    url = new_url()
    tasks = asyncio.all_tasks()
    store = await MySQLStore.open(f"{url}?connections=3", timeout=20.0, metrics=Metrics())
    work = [
        action
        for number in range(400)
        for action in (
            store.insert(make_record(number)),
            store.get(guid_of(number)),
            store.delete(guid_of(number), 7),
            store.page(Query(1), NOW),
        )
    ]
    working = asyncio.gather(*work)
    await asyncio.sleep(0)
    assert len(sessions(server, url)) <= 3
    await working
    assert 1 <= len(sessions(server, url)) <= 3
    await store.close()
    await until(lambda: not sessions(server, url))
    assert asyncio.all_tasks() == tasks


async def test_a_server_without_room_for_more_connections_is_used_through_the_open_ones(
    server: Server, new_url: Callable[[], str]
) -> None:
    url = narrow(server, new_url(), 2)
    async with opener_of(url)() as store:
        records = [make_record(number) for number in range(100)]
        assert all(await asyncio.gather(*(store.insert(record) for record in records)))
        work = (store.replace(newer(record), record.version) for record in records)
        assert await outcomes(*work) == [True] * 100


async def test_a_variable_that_the_server_does_not_have_is_left_alone(opened: MySQLStore) -> None:
    """Only MariaDB has max_statement_time, and only Galera wsrep_sync_wait."""
    await opened._pool.close()
    adapter: Any = opened._pool._adapter
    adapter._wishes += ("SET SESSION what_no_server_has = 1",)
    await opened.ping()


async def test_a_session_that_can_not_be_set_up_is_not_used(
    server: Server, new_url: Callable[[], str]
) -> None:
    url = new_url()
    store = await MySQLStore.open(url, timeout=5.0, metrics=Metrics())
    await store._pool.close()
    adapter: Any = store._pool._adapter
    adapter._wishes += ("SET SESSION sql_mode = 'what_no_server_has'",)
    with pytest.raises(StoreUnavailable):
        await store.ping()
    await until(lambda: not sessions(server, url))
    await store.close()


async def test_a_statement_that_is_cancelled_takes_its_connection_with_it(
    server: Server, new_url: Callable[[], str]
) -> None:
    url = new_url()
    store = await MySQLStore.open(url, timeout=20.0, metrics=Metrics())
    before = sessions(server, url)
    loop = asyncio.get_running_loop()
    sleeping = asyncio.create_task(store._pool.run("SELECT SLEEP(60)", loop.time() + 60))

    await until(lambda: "SLEEP(60)" in server.run("SHOW FULL PROCESSLIST"))
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    for session in before:
        server.run(f"KILL CONNECTION {session}")  # it sleeps on, without reading its connection
    await store.ping()
    assert not set(sessions(server, url)) & set(before)
    await store.close()


async def test_a_statement_on_a_connection_that_was_closed_before_it_was_not_sent(
    new_url: Callable[[], str],
) -> None:
    adapter = Adapter(Address.parse(new_url(), port=PORT), tls=None, timeout=20.0)
    connection = await adapter.connect(asyncio.get_running_loop().time() + 20.0)
    sent = connection.sent
    connection.abort()
    with pytest.raises(Exception, match="Not connected") as closed:
        await connection.run("SELECT 1")
    report = adapter.report(closed.value)
    assert type(judge(report, adapter.codes, sent=connection.sent > sent)) is NotSent
