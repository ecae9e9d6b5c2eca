"""A URL with several hosts: the store uses one until it fails, then another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import StartupError, StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.stores.mysql.store import MySQLStore
from guidkeep.stores.remote import pool, starting
from guidkeep.stores.remote.failures import Refused
from guidkeep.system.backoff import Backoff
from guidkeep.testing.opening import opener_of
from servers.processes import free_port
from tests.stores.mysql.conftest import hanging, name_of, narrow, sessions
from tests.stores.records import guid_of, make_record
from tests.support import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from servers.mysql import MariaDB, Server


def both(first: str, *others: str) -> str:
    """Returns the first URL with the hosts of the others after its own."""
    parts = urlsplit(first)
    hosts = (urlsplit(other).netloc.rpartition("@")[2] for other in others)
    return parts._replace(netloc=",".join((parts.netloc, *hosts))).geturl()


def elsewhere(url: str) -> str:
    """Returns the same URL with a port on which no server listens."""
    login = urlsplit(url).netloc.rpartition("@")[0]
    return urlsplit(url)._replace(netloc=f"{login}@127.0.0.1:{free_port()}").geturl()


def passed_over(logs: Iterable[Mapping[str, object]]) -> list[object]:
    """Returns the error of each host that was passed over."""
    return [line["error"] for line in logs if line["event"] == "store host passed over"]


@pytest.fixture
async def pair(rough: MariaDB, new_url: Callable[[], str]) -> tuple[str, str]:
    """The same tables on two servers; a test may break the first."""
    url = new_url()
    rough.run(f"CREATE DATABASE {name_of(url)}")
    poor = f"{rough.url}{name_of(url)}"
    for each in (poor, url):
        async with opener_of(each)():
            pass
    return poor, url


async def test_the_first_that_can_be_used_is_used(
    server: Server, rough: MariaDB, pair: tuple[str, str]
) -> None:
    poor, url = pair
    async with opener_of(both(url, poor, elsewhere(url)))() as store:
        assert await store.insert(make_record())
        assert sessions(server, url)
        assert not sessions(rough, url)


async def test_hosts_that_are_away_are_passed_over_once(
    server: Server, new_url: Callable[[], str]
) -> None:
    url = new_url()
    with capture_logs() as logs:
        async with opener_of(both(elsewhere(url), elsewhere(url), url))() as store:
            work = (store.insert(make_record(number)) for number in range(50))
            assert all(await asyncio.gather(*work))
    assert len(passed_over(logs)) == 2


async def test_hosts_that_are_all_away_are_logged_once(
    pair: tuple[str, str], rough: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "RECONNECT", Backoff(0.0, 0.0))
    async with opener_of(both(pair[0], elsewhere(pair[0])))() as store:
        rough.process.kill()
        try:
            with capture_logs() as logs:
                for _ in range(3):
                    with pytest.raises(StoreUnavailable):
                        await store.ping()
        finally:
            rough.start()
        await store.ping()
    assert [line["event"] for line in logs][-2:] == ["store host passed over", "store unreachable"]


async def test_if_one_host_is_full_and_the_other_down_a_connection_waits_for_room(
    server: Server, new_url: Callable[[], str]
) -> None:
    """A server of a cluster has died, and all its clients connect to another."""
    url = narrow(server, new_url(), 1)
    store = await MySQLStore.open(both(url, elsewhere(url)), timeout=10.0, metrics=Metrics())
    deadline = asyncio.get_running_loop().time() + 10
    working = asyncio.create_task(store._pool.run("SELECT SLEEP(0.3)", deadline))
    await asyncio.sleep(0)
    assert (await store._pool.run("SELECT 7", deadline)).rows == ((7,),)
    await working
    await store.close()


async def test_a_host_that_dies_is_left(pair: tuple[str, str], rough: MariaDB) -> None:
    """Connections made at the same time all go to the next host."""
    async with opener_of(both(*pair))() as store:
        work = [store.replace(make_record(number), 1) for number in range(9)]
        assert not any(await asyncio.gather(*work))
        rough.process.kill()
        try:
            work = [store.replace(make_record(number), 1) for number in range(9)]
            assert not any(await asyncio.gather(*work))
            assert await store.insert(make_record())
        finally:
            rough.start()


async def test_a_host_that_hangs_is_left(
    pair: tuple[str, str], rough: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "PING_SECONDS", 0.1)
    async with opener_of(both(*pair))(timeout=1.5) as store:
        work = [store.replace(make_record(number), 1) for number in range(9)]
        assert not any(await asyncio.gather(*work))
        with hanging(rough):
            with pytest.raises(StoreUnavailable):
                await store.ping()  # it takes the whole timeout
            assert await store.insert(make_record())
            assert await store.get(guid_of(1)) == make_record()


async def test_a_read_only_host_is_passed_over(
    pair: tuple[str, str], rough: MariaDB, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    rough.run("SET GLOBAL read_only = 1")
    try:
        with capture_logs() as logs:
            async with opener_of(both(*pair))() as store:
                assert await store.insert(make_record())
                assert sessions(server, pair[1])
        assert passed_over(logs) == ["it is read-only"]
        monkeypatch.setattr(starting, "START_TIMES", 0.1)
        with pytest.raises(StartupError, match="it is read-only"):
            await MySQLStore.open(both(pair[0], pair[0]), timeout=1.0, metrics=Metrics())
    finally:
        rough.run("SET GLOBAL read_only = 0")


async def test_all_connections_are_cut_off_when_their_server_has_left_the_cluster(
    server: Server, new_url: Callable[[], str]
) -> None:
    url = new_url()
    store = await MySQLStore.open(url, timeout=5.0, metrics=Metrics())
    assert not any(await asyncio.gather(*(store.replace(make_record(), 1) for _ in range(9))))
    assert len(sessions(server, url)) > 1
    deadline = asyncio.get_running_loop().time() + 5
    with pytest.raises(Refused):
        await store._pool.run("SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = 1047", deadline)
    await until(lambda: not sessions(server, url))
    await store.ping()
    await store.close()


async def test_if_all_are_away_the_url_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "START_TIMES", 1.0)
    url = elsewhere("mysql://ann:s3cret@here/x")
    url = both(url, elsewhere(url))
    with pytest.raises(StartupError, match="Can't use the store") as refused:
        await MySQLStore.open(url, timeout=1.0, metrics=Metrics())
    assert url.replace("ann:s3cret@", "") in str(refused.value)
