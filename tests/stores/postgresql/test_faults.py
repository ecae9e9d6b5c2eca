"""Real faults between a store and its PostgreSQL: the right errors, and no lost record."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import pytest

from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.record import Query
from guidkeep.stores.postgresql import writes
from guidkeep.stores.postgresql.tls import asyncpg
from guidkeep.stores.remote import pool
from guidkeep.testing.opening import opener_of
from tests.stores.records import NOW, guid_of, make_record, newer
from tests.support import once_it_answers, until

if TYPE_CHECKING:
    from guidkeep.testing.opening import Opener
    from servers.postgresql import PostgreSQL, Server

Result = TypeVar("Result")


def connections(server: Server, url: str) -> int:
    """Returns the number of connections to the database."""
    name = urlsplit(url).path.strip("/")
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
    return int(server.run(f"{count} AND pid <> pg_backend_pid()"))


def cut(server: Server, url: str) -> None:
    """Ends all connections to the database, while this event loop is blocked."""
    name = urlsplit(url).path.strip("/")
    ended = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
    assert int(server.run(f"{ended} WHERE datname = '{name}' AND pid <> pg_backend_pid()")) > 0


class Lock:
    """Locks a record, so that writes to it wait."""

    def __init__(self, url: str, number: int) -> None:
        self._url = url
        self._guid = guid_of(number)

    async def __aenter__(self) -> None:
        self._connection = await asyncpg.connect(self._url)
        await self._connection.execute("BEGIN")
        await self._connection.execute(
            f"SELECT FROM record WHERE guid = '\\x{self._guid}' FOR UPDATE"
        )

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


async def gone(server: Server, url: str, *, but: int = 0) -> None:
    await until(lambda: connections(server, url) <= but)


async def test_there_are_no_more_connections_than_the_url_allows(server: Server, url: str) -> None:
    async with opener_of(f"{url}?connections=2")() as store:
        await asyncio.gather(
            *(store.insert(make_record(number)) for number in range(9)),
            *(store.page(Query(), NOW) for _ in range(9)),
            *(store.get(guid_of(number)) for number in range(9)),
        )
        assert connections(server, url) <= 2


async def test_a_connection_that_is_closed_while_idle_is_replaced_unnoticed(
    opener: Opener, server: Server, url: str
) -> None:
    async with opener() as store:
        record = make_record()
        assert await store.insert(record)
        for _ in range(3):
            cut(server, url)
            assert await store.get(record.guid) == record
            cut(server, url)
            new = newer(record)
            assert await store.replace(new, record.version)
            record = new


async def test_a_connection_whose_end_was_noticed_is_replaced(
    opener: Opener, server: Server, url: str
) -> None:
    async with opener() as store:
        await store.ping()
        cut(server, url)
        await gone(server, url)
        await asyncio.sleep(0.05)  # the loop notices the closed connections
        assert await store.insert(make_record())


async def test_unused_connections_are_closed(
    opener: Opener, server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opener() as store:
        await asyncio.gather(store.page(Query(), NOW), store.ping(), store.purge(NOW, 1))
        assert connections(server, url) == 3
        monkeypatch.setattr(pool, "LONGEST_IDLE_SECONDS", -1.0)
        await store.ping()
        await gone(server, url)
        assert await store.insert(make_record())


async def test_a_connection_that_a_firewall_may_have_forgotten_is_not_used(
    own: PostgreSQL,
) -> None:
    async with opener_of(own.url)() as store:
        await asyncio.gather(store.page(Query(), NOW), store.ping())
        idle: list[Any] = store._pool._idle  # type: ignore[attr-defined]
        assert len(idle) == 2
        for connection in idle:
            connection.since -= pool.IDLE_SECONDS + 1
        stopped = [connection.raw.get_server_pid() for connection in idle]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)  # the server process no longer responds
        try:
            await store.ping()
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)


async def test_a_write_that_waits_too_long_is_unknown_and_given_up_at_the_server(
    opener: Opener, server: Server, url: str
) -> None:
    async with opener(timeout=1.0) as store:
        await store.insert(make_record())
        async with Lock(url, 1):
            with pytest.raises(OutcomeUnknown, match="unknown"):
                await store.replace(newer(make_record()), 1)
            assert await store.get(guid_of(1)) == make_record(), "reads go on"
            await gone(server, url, but=2)  # the lock's and the reader's
        assert await store.get(guid_of(1)) == make_record()
        assert await store.replace(newer(make_record()), 1)


async def test_a_write_that_could_not_be_sent_in_time_was_not_written(
    opener: Opener, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place in the batch comes after the timeout."""
    monkeypatch.setattr(writes, "BATCH_BYTES", 1)
    async with opener(timeout=1.0) as store:
        first, second = make_record(1), make_record(2)
        await asyncio.gather(store.insert(first), store.insert(second))
        async with Lock(url, 1):
            done = await asyncio.gather(
                store.replace(newer(first), 1),
                store.replace(newer(second), 1),
                return_exceptions=True,
            )
        assert [type(error) for error in done] == [OutcomeUnknown, StoreUnavailable]
        assert await store.get(second.guid) == second


async def test_a_write_that_waits_for_its_batch_for_too_long_is_not_begun(
    opener: Opener, url: str
) -> None:
    async with opener(timeout=1.0) as store:
        for number in range(5):
            await store.insert(make_record(number))
        async with Lock(url, 1):
            writing = []
            for number in (1, 1, 2):  # two batches wait for the lock, and one for them
                writing.append(asyncio.ensure_future(store.delete(guid_of(number), 1)))
                await asyncio.sleep(0.01)
            done = await asyncio.gather(*writing, return_exceptions=True)
        assert [type(error) for error in done[:2]] == [OutcomeUnknown] * 2
        assert type(done[2]) is StoreUnavailable
        assert "could not begin" in str(done[2])
        assert await store.get(guid_of(2)) == make_record(2)


async def waiting_for_locks(server: Server, count: int) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    await until(lambda: int(server.run(waiting)) == count)


async def test_a_write_whose_connection_the_server_ends_is_sent_again(
    opener: Opener, server: Server, url: str
) -> None:
    """The server's error comes before a commit, so nothing was written."""
    async with opener() as store:
        await store.insert(make_record())
        async with Lock(url, 1):
            writing = asyncio.ensure_future(store.delete(guid_of(1), 1))
            await waiting_for_locks(server, 1)
            cut(server, url)
        assert await writing is True
        assert await store.get(guid_of(1)) is None


async def test_too_many_connections_are_503_and_nothing_was_written(
    opener: Opener, server: Server, url: str
) -> None:
    async with opener() as store:
        await store.insert(make_record())
    name = urlsplit(url).path.strip("/")
    server.run(
        f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'x' CONNECTION LIMIT 1",
        f'GRANT SELECT ON guidkeep_schema TO "{name}"',
        f'GRANT ALL ON record TO "{name}"',
        url=url,
    )
    limited = url.replace(str(urlsplit(url).netloc).rpartition("@")[0], f"{name}:x")
    async with opener_of(limited)() as store:
        cut(server, url)
        other = await asyncpg.connect(limited)
        with pytest.raises(StoreUnavailable, match="nothing was written"):
            await store.insert(make_record(2))
        await other.close()
        await once_it_answers(lambda: store.insert(make_record(2)))


async def test_a_purge_does_not_wait_for_a_record_that_another_writes(
    opener: Opener, url: str
) -> None:
    async with opener(timeout=2.0) as store:
        for number in range(4):
            await store.insert(make_record(number, expire=NOW))
        async with Lock(url, 1):
            assert await store.purge(NOW, 10) == 3
        assert await store.purge(NOW, 10) == 1


async def test_a_purge_without_an_answer_is_unknown(
    opener: Opener, server: Server, url: str
) -> None:
    async with opener(timeout=1.0) as store:
        await store.insert(make_record(1, expire=NOW))
        server.run(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "PERFORM pg_sleep(60); RETURN OLD; END $$",
            "CREATE TRIGGER planted BEFORE DELETE ON record FOR EACH ROW EXECUTE FUNCTION wait()",
            url=url,
        )
        with pytest.raises(OutcomeUnknown):
            await store.purge(NOW, 10)
        await gone(server, url, but=1)
        assert await store.get(guid_of(1)) is not None


async def test_a_loop_that_stops_takes_its_statement_with_it(
    opener: Opener, server: Server, url: str
) -> None:
    """A task cancelled from outside, as at the end of the process, leaves no connection."""
    async with opener() as store:
        await store.insert(make_record())
        async with Lock(url, 1):
            writing = asyncio.ensure_future(store.delete(guid_of(1), 1))
            await waiting_for_locks(server, 1)
            for task in asyncio.all_tasks() - {asyncio.current_task(), writing}:
                task.cancel()
            with pytest.raises(OutcomeUnknown):  # a cancellation would count as certain
                await writing
            await gone(server, url, but=1)  # the lock's
        assert await store.get(guid_of(1)) == make_record()
