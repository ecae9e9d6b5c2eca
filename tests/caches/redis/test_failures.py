"""Redis down, slow, full, flushed, restarted, promoted: nobody notices but the store."""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from guidkeep.caches.entries import entry_of, render
from guidkeep.caches.redis import connection as redis_connection
from guidkeep.caches.redis.connection import Unavailable
from guidkeep.caches.redis.server import give_up
from guidkeep.record import Record
from guidkeep.testing.looks import look
from servers import redis
from servers.processes import free_port
from tests.caches.redis.conftest import (
    NEWER,
    NOW,
    OTHER,
    RECORD,
    SOON,
    find,
    gone_out,
    held,
    keep,
    lose,
    reader,
    server_of,
    until_a_reader_may_fill,
)
from tests.support import GUID, until

if TYPE_CHECKING:
    from pathlib import Path

    from guidkeep.caches.redis.cache import RedisCache
    from servers.redis import Redis
    from tests.caches.redis.conftest import Opener


def never(_: object) -> None:
    """Must not be called."""
    pytest.fail("it was called")


async def test_a_write_waits_for_a_redis_that_is_late_and_a_read_does_not(
    own: Redis, open_at: Opener
) -> None:
    """Otherwise a busy machine would be enough to let others believe the former entry."""
    cache = open_at(own.url, timeout=0.3, patience=60.0)
    mine, other = replace(RECORD, guid="1" * 32), replace(RECORD, guid=OTHER)
    filling = await reader(cache)
    writing = await cache.lease(mine.guid)
    own.process.signal(signal.SIGSTOP)
    assert await cache.get(OTHER, NOW) is None
    assert not cache.peek(OTHER, NOW, never)
    await cache.fill(filling, RECORD, NOW)
    written = asyncio.gather(cache.lease(OTHER), cache.settle(writing, mine, NOW))
    await asyncio.sleep(0.01)
    assert not written.done()
    own.process.signal(signal.SIGCONT)
    lease, _ = await written
    assert lease.token > 0
    await cache.settle(lease, other, NOW)
    await until_a_reader_may_fill(cache)  # both leases of readers were given back
    assert [await held(cache, each.guid) for each in (mine, other)] == [mine, other]
    assert (cache.counts.unsettled, cache.counts.unreachable) == (0, 0)


async def test_a_redis_that_is_silent_for_as_long_as_a_write_waits_is_not_asked_any_more(
    own: Redis, open_at: Opener
) -> None:
    cache = open_at(own.url, timeout=SOON, patience=0.3)
    await cache.ping()
    own.process.signal(signal.SIGSTOP)
    lease = await cache.lease(GUID)
    assert lease.token < 0
    assert cache.counts.unreachable == 1
    own.process.signal(signal.SIGCONT)
    await find(cache)
    await until(lambda: cache.counts.unsettled == 0)


async def use(cache: RedisCache) -> None:
    """Makes every call; none may raise."""
    found = await cache.get(GUID, NOW)
    assert found is None
    lease = await cache.lease(GUID)
    assert lease.token < 0
    await cache.settle(lease, RECORD, NOW)
    with pytest.raises(OSError):  # noqa: PT011 - the registry expects any OSError
        await cache.ping()


async def test_redis_is_down(open_at: Opener) -> None:
    cache = open_at(f"redis://127.0.0.1:{free_port()}")
    await use(cache)
    assert cache.counts.unsettled == 1
    await lose(cache)
    assert cache.counts.unreachable == 1
    await use(cache)
    assert cache.counts.misses >= 2


async def test_a_host_whose_name_is_none_is_down_too(open_at: Opener) -> None:
    await use(open_at(f"redis://{'x' * 64}.example"))


async def test_redis_is_used_when_it_is_up(own: Redis, open_at: Opener) -> None:
    cache = open_at(own.url)
    await keep(cache)
    own.process.kill()
    await lose(cache)
    own.start()
    await find(cache)
    await keep(cache)
    assert await held(cache) == RECORD
    assert cache.counts.unreachable == 0


async def test_redis_hangs(own: Redis, open_at: Opener) -> None:
    cache = open_at(own.url, timeout=SOON)
    await keep(cache)
    own.process.signal(signal.SIGSTOP)
    await use(cache)
    await lose(cache)
    await use(cache)
    own.process.signal(signal.SIGCONT)
    await find(cache)
    await until(lambda: cache.counts.unsettled == 0)
    await keep(cache, NEWER)
    assert await held(cache) == NEWER


async def test_a_call_that_redis_runs_when_it_wakes_up_does_no_harm(
    own: Redis, open_at: Opener
) -> None:
    """A settle that waits in a buffer meets a later write, which could not lease."""
    one, other = open_at(own.url, timeout=SOON), open_at(own.url, timeout=SOON)
    judge = open_at(own.url)
    await judge.ping()
    lease = await one.lease(GUID)
    own.process.signal(signal.SIGSTOP)
    await one.settle(lease, RECORD, NOW)
    assert one.counts.unsettled == 1
    await lose(one)
    late = await other.lease(GUID)
    await other.settle(late, NEWER, NOW)
    await lose(other)
    own.process.signal(signal.SIGCONT)
    for cache in (one, other):
        await find(cache)
        await until(lambda: cache.counts.unsettled == 0)  # noqa: B023 - called at once
    assert await held(judge) is None


@pytest.mark.parametrize("kept", ["aof", "rdb"])
async def test_redis_was_started_anew_from_its_files(
    tmp_path: Path, shared: Redis, open_at: Opener, kept: str
) -> None:
    """Its entries may have been dropped since: they count as nothing."""
    flags = ["--appendonly", "yes", "--appendfsync", "always"] if kept == "aof" else []
    with redis.started(tmp_path, flags=flags) as own:
        cache = open_at(f"{own.url}?prefix=p:")
        await keep(cache)
        standing = await cache.lease(OTHER)
        if kept == "rdb":
            own.ask("SAVE")
        own.process.kill()
        await lose(cache)
        own.start()
        assert len(own.keys(f"{own.url}?prefix=p:")) == 2
        await find(cache)
        assert await held(cache) is None
        await reader(cache, OTHER)
        await cache.settle(standing, Record(OTHER, NOW + 1000, 1, "{}"), NOW)
        assert await held(cache, OTHER) is None


def replica_of(master: Redis, folder: Path, stack: ExitStack) -> Redis:
    folder.mkdir()
    flags = ["--replicaof", "127.0.0.1", str(master.port), "--repl-diskless-sync-delay", "0"]
    replica = stack.enter_context(redis.started(folder, flags=flags))
    replica.process.wait_for(
        lambda: replica.info("replication", "master_link_status") == "up" or None, "link"
    )
    return replica


async def test_a_replica_is_not_used_and_one_that_was_promoted_starts_empty(
    own: Redis, tmp_path: Path, open_at: Opener
) -> None:
    with ExitStack() as stack:
        replica = replica_of(own, tmp_path / "replica", stack)
        before = open_at(f"{replica.url}?prefix=p:")
        with pytest.raises(OSError, match="it is a replica"):
            await before.ping()
        await keep(open_at(f"{own.url}?prefix=p:"))
        replica.process.wait_for(lambda: replica.keys("redis://?prefix=p:") or None, "the entry")
        replica.ask("REPLICAOF", "NO", "ONE")
        promoted = open_at(f"{replica.url}?prefix=p:")
        assert await held(promoted) is None
        await keep(promoted)
        assert await held(promoted) == RECORD


async def test_a_master_that_was_made_a_replica_is_left(own: Redis, open_at: Opener) -> None:
    cache = open_at(own.url)
    await keep(cache)
    own.ask("REPLICAOF", "127.0.0.1", free_port())
    assert await cache.get(GUID, NOW) is None
    await lose(cache)
    own.ask("REPLICAOF", "NO", "ONE")
    await find(cache)
    assert await held(cache) is None


async def test_a_master_that_was_made_a_replica_shows_nothing(own: Redis, open_at: Opener) -> None:
    """It could still be read, but the new master may have dropped its entries by now."""
    cache = open_at(own.url)
    await keep(cache)
    assert await look(cache) == render(entry_of(RECORD))
    own.ask("REPLICAOF", "127.0.0.1", free_port())
    assert await look(cache) is None


async def test_a_look_at_a_redis_that_hangs_or_is_not_connected_finds_nothing(
    own: Redis, open_at: Opener
) -> None:
    cache = open_at(own.url, timeout=SOON)
    assert not cache.peek(GUID, NOW, never), "it does not wait for a connection"
    await keep(cache)
    own.process.signal(signal.SIGSTOP)
    assert await asyncio.gather(*(look(cache) for _ in range(3))) == [None] * 3
    assert not cache.peek(GUID, NOW, never)
    assert cache.counts.hits == 0


async def test_a_reply_to_a_call_that_was_given_up_does_no_harm(
    own: Redis, open_at: Opener
) -> None:
    """The call waited for the connection, and was given up after it was sent."""
    cache = open_at(own.url)
    server = server_of(cache)
    asked = server.submit("get", b"key", NOW, 1)
    while server._connection is None:  # noqa: ASYNC110 - the call is sent in that iteration
        await asyncio.sleep(0)
    own.process.signal(signal.SIGSTOP)
    connection = server._connection
    await gone_out()
    give_up(asked)
    own.process.signal(signal.SIGCONT)
    assert isinstance(await asked, Unavailable)
    await keep(cache)
    assert await held(cache) == RECORD
    assert server._connection is connection


async def test_a_call_that_was_given_up_before_there_is_a_connection_is_not_made(
    shared: Redis, open_at: Opener
) -> None:
    cache = open_at(shared.fresh())
    given_up = server_of(cache).submit("lease", cache._key(GUID), 1)
    give_up(given_up)
    await cache.ping()
    assert isinstance(await given_up, Unavailable)
    await reader(cache)  # no writer's lease stands


async def test_a_server_that_was_a_replica_unnoticed_is_found_out_after_a_silence(
    own: Redis, open_at: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = open_at(own.url)
    await keep(cache)
    own.ask("REPLICAOF", "127.0.0.1", free_port())
    own.ask("REPLICAOF", "NO", "ONE")
    monkeypatch.setattr(redis_connection, "SILENCE", 0.0)
    assert await cache.get(GUID, NOW) is None
    await reader(cache)


async def test_after_a_silence_the_same_master_is_trusted(
    shared: Redis, open_at: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = open_at(shared.fresh())
    await keep(cache)
    monkeypatch.setattr(redis_connection, "SILENCE", 0.0)
    assert await cache.get(GUID, NOW) == RECORD


async def test_scripts_that_redis_has_forgotten_are_loaded_anew(
    own: Redis, open_at: Opener
) -> None:
    cache = open_at(own.url)
    await keep(cache)
    for _ in range(2):
        own.ask("SCRIPT", "FLUSH")
        found = await asyncio.gather(*(cache.get(GUID, NOW) for _ in range(20)))
        assert found == [RECORD] * 20
    own.ask("SCRIPT", "FLUSH")
    await keep(cache, NEWER)
    assert await held(cache) == NEWER
    assert cache.counts.unsettled == 0


async def test_scripts_may_not_be_loaded_any_more(own: Redis, open_at: Opener) -> None:
    own.ask("ACL", "SETUSER", "ann", "on", ">secret", "~*", "+@all")
    cache = open_at(f"redis://ann:secret@127.0.0.1:{own.port}")
    await keep(cache)
    own.ask("ACL", "SETUSER", "ann", "-script")
    own.ask("SCRIPT", "FLUSH")
    await use(cache)
    await lose(cache)


async def test_redis_is_full_and_evicts_nothing(own: Redis, open_at: Opener) -> None:
    cache = open_at(own.url)
    await keep(cache)
    own.ask("CONFIG", "SET", "maxmemory", 1)
    assert await cache.get(GUID, NOW) == RECORD
    await cache.fill(await reader(cache, OTHER), Record(OTHER, NOW + 9, 1, "{}"), NOW)
    await reader(cache, OTHER)
    await keep(cache, NEWER)
    assert await held(cache) is None
    assert cache.counts.unsettled == 0
    await cache.ping()


async def test_redis_is_full_and_evicts_any_key(own: Redis, open_at: Opener) -> None:
    cache = open_at(own.url)
    await cache.ping()
    own.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    own.ask("CONFIG", "SET", "maxmemory", int(own.info("memory", "used_memory")) + 200_000)
    records = [Record(f"{at:032X}", NOW + 9, at, '{"user":"x"}') for at in range(2000)]
    await asyncio.gather(*(keep(cache, record) for record in records))
    assert int(own.info("stats", "evicted_keys")) > 0
    found = await asyncio.gather(*(held(cache, record.guid) for record in records))
    assert set(found) <= {None, *records}
    assert cache.counts.unsettled == 0


async def test_redis_does_not_write_without_its_replicas(own: Redis, open_at: Opener) -> None:
    cache = open_at(own.url)
    await keep(cache)
    own.ask("CONFIG", "SET", "min-replicas-to-write", 1)
    await use(cache)
    await lose(cache)
    own.ask("CONFIG", "SET", "min-replicas-to-write", 0)
    await find(cache)
    await until(lambda: cache.counts.unsettled == 0)
    assert await held(cache) is None


async def test_a_wrong_password_is_a_failure_and_is_not_shown(
    tmp_path: Path, shared: Redis, open_at: Opener
) -> None:
    with redis.started(tmp_path, password="opensesame") as own:  # noqa: S106 - only here
        right = open_at(own.url)
        await keep(right)
        assert await held(right) == RECORD
        wrong = open_at(own.url.replace("opensesame", "open-barley"))
        nobody = open_at(f"redis://:opensesame@127.0.0.1:{own.port}")
        await nobody.ping()
        with capture_logs() as logs:
            with pytest.raises(OSError, match="WRONGPASS") as refused:
                await wrong.ping()
            await lose(wrong)
            with pytest.raises(OSError, match="not asked"):
                await wrong.ping()
        none = open_at(f"redis://127.0.0.1:{own.port}")
        with pytest.raises(OSError, match="NOAUTH"):
            await none.ping()
    assert [line["event"] for line in logs] == ["cache lost"]
    assert "barley" not in f"{refused.value} {logs}"


async def test_the_database_is_that_of_the_url(own: Redis, open_at: Opener) -> None:
    await keep(open_at(f"{own.url}/3"))
    assert "db3" in own.ask("INFO", "keyspace").decode()
    absent = open_at(f"{own.url}/99")
    with pytest.raises(OSError, match="out of range"):
        await absent.ping()


async def test_no_connection_is_left(own: Redis, open_at: Opener) -> None:
    before = int(own.info("clients", "connected_clients"))
    cache = open_at(own.url)
    await keep(cache)
    assert int(own.info("clients", "connected_clients")) == before + 1
    await cache.close()
    await until(lambda: int(own.info("clients", "connected_clients")) == before)
    assert await cache.get(GUID, NOW) is None


async def test_a_cache_may_be_closed_while_it_connects(own: Redis, open_at: Opener) -> None:
    cache = open_at(own.url)
    own.process.signal(signal.SIGSTOP)
    asked = asyncio.ensure_future(cache.get(GUID, NOW))
    await asyncio.sleep(0.02)  # it is connected, and greets
    closing = asyncio.ensure_future(cache.close())
    await asyncio.sleep(0)
    own.process.signal(signal.SIGCONT)
    await closing
    assert await asked is None
