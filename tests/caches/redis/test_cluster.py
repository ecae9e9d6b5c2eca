"""A Redis Cluster: keys that are elsewhere, slots that move, masters that die.

The tests share one cluster; a test that damages it has its own.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from guidkeep.caches.redis import servers as redis_servers
from guidkeep.caches.redis.servers import Cluster
from guidkeep.metrics import Metrics
from guidkeep.record import Record
from servers import redis, redis_cluster
from servers.processes import free_port
from tests.caches.redis.conftest import NEWER, NOW, RECORD, SOON, held, keep, reader
from tests.support import GUID, metric, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guidkeep.caches.redis.cache import RedisCache
    from servers.redis import Redis
    from servers.redis_cluster import RedisCluster
    from tests.caches.redis.conftest import Opener
    from tests.engines import Engines

GUIDS = [f"{at:032X}" for at in range(64)]


@pytest.fixture(scope="module")
def cluster(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    engines.get("redis")  # skips the tests where Redis is missing
    with redis_cluster.started(tmp_path_factory.mktemp("cluster"), replicas=3) as cluster:
        yield cluster


@pytest.fixture
def own_cluster(engines: Engines, tmp_path: Path) -> Iterator[RedisCluster]:
    """A cluster that a test may leave damaged."""
    engines.get("redis")
    with redis_cluster.started(tmp_path, replicas=3) as cluster:
        yield cluster


def servers_of(cache: RedisCache) -> Cluster:
    assert isinstance(cache._servers, Cluster)
    return cache._servers


def prefix(cache: RedisCache) -> str:
    return cache._prefix.decode()


def record(guid: str) -> Record:
    return Record(guid, NOW + 1000, 1, "{}")


async def fill_up(cache: RedisCache) -> None:
    for guid in GUIDS:
        await keep(cache, record(guid))


async def entries(cache: RedisCache) -> list[Record | None]:
    return [await held(cache, guid) for guid in GUIDS]


def ports(cache: RedisCache) -> set[int]:
    """Returns the ports of the masters that the cache knows."""
    return {port for _, port in servers_of(cache)._servers}


@contextmanager
def moving(cluster: RedisCluster, key: str) -> Iterator[tuple[Redis, Redis, int]]:
    """The key's slot is moving; yields source, target and slot. At the end it is stable."""
    slot = cluster.nodes[0].ask("CLUSTER", "KEYSLOT", key)
    old = cluster.owner(key)
    new = cluster.masters[(cluster.masters.index(old) + 1) % 3]
    new.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", old.ask("CLUSTER", "MYID"))
    old.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", new.ask("CLUSTER", "MYID"))
    try:
        yield old, new, slot
    finally:
        for node in (new, old):
            node.ask("CLUSTER", "SETSLOT", slot, "STABLE")


async def test_keys_are_shared_among_the_masters(cluster: RedisCluster, open_at: Opener) -> None:
    cache = open_at(cluster.fresh())
    await fill_up(cache)
    assert await entries(cache) == [record(guid) for guid in GUIDS]
    assert ports(cache) == {node.port for node in cluster.masters}
    assert all(node.ask("DBSIZE") for node in cluster.masters)
    assert cache.counts.unreachable == 0
    await cache.ping()


async def test_one_node_is_enough_to_find_the_others(
    cluster: RedisCluster, open_at: Opener
) -> None:
    place = cluster.fresh().partition("?")[2]
    replica = cluster.nodes[-1]
    seeds = f"127.0.0.1:{free_port()},127.0.0.1:{replica.port}"
    cache = open_at(f"redis+cluster://{seeds}/?{place}")
    await cache.ping()
    await fill_up(cache)
    assert None not in await entries(cache)


async def test_a_key_that_is_elsewhere_is_asked_for_there(
    cluster: RedisCluster, open_at: Opener
) -> None:
    """All of the map is wrong; each node names the owner of the key (MOVED)."""
    cache = open_at(cluster.fresh())
    await fill_up(cache)
    servers = servers_of(cache)
    servers._slots = [*servers._slots[6000:], *servers._slots[:6000]]
    assert await entries(cache) == [record(guid) for guid in GUIDS]
    assert cache.counts.unsettled == cache.counts.unreachable == 0


async def test_a_slot_that_moves_takes_no_entry_along(
    cluster: RedisCluster, open_at: Opener
) -> None:
    cache = open_at(cluster.fresh())
    await keep(cache)
    key = prefix(cache) + GUID
    with moving(cluster, key) as (old, new, slot):
        assert await held(cache) == RECORD  # it is still at its old place
        old.ask("MIGRATE", new.host, new.port, key, 0, 5000)
        assert await held(cache) is None  # it is there (ASK), and counts as nothing
        await keep(cache, NEWER)
        assert await held(cache) == NEWER
        for node in (new, old):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", new.ask("CLUSTER", "MYID"))
    assert await held(cache) == NEWER  # now the old one says MOVED
    assert cache.counts.unsettled == 0


async def test_an_ask_may_be_the_first_word_with_a_server(
    cluster: RedisCluster, open_at: Opener
) -> None:
    cache = open_at(cluster.fresh())
    with moving(cluster, prefix(cache) + GUID):
        await reader(cache)
    assert cache.counts.unsettled == 0


async def test_scripts_that_are_forgotten_where_a_slot_moves_to_are_loaded_there(
    cluster: RedisCluster, open_at: Opener
) -> None:
    cache = open_at(cluster.fresh())
    await cache.ping()
    with moving(cluster, prefix(cache) + GUID) as (_, new, _):
        new.ask("SCRIPT", "FLUSH")
        await reader(cache)


async def test_where_a_slot_moves_to_may_fail_and_where_it_comes_from_is_not_to_blame(
    cluster: RedisCluster, open_at: Opener
) -> None:
    cache = open_at(cluster.fresh())
    await cache.ping()
    servers = servers_of(cache)._servers
    with moving(cluster, prefix(cache) + GUID) as (old, new, _):
        connection = servers[old.host, old.port]._connection
        new.ask("CONFIG", "SET", "min-replicas-to-write", 9)
        try:
            assert await cache.get(GUID, NOW) is None
        finally:
            new.ask("CONFIG", "SET", "min-replicas-to-write", 0)
        assert servers[new.host, new.port]._connection is None
        assert servers[old.host, old.port]._connection is connection
        await reader(cache)


async def test_no_connection_is_left(cluster: RedisCluster, open_at: Opener) -> None:
    def count() -> int:
        return sum(
            node.ask("CLIENT", "LIST", "TYPE", "normal").count(b"\n") for node in cluster.masters
        )

    before = count()
    cache = open_at(cluster.fresh())
    await fill_up(cache)
    assert count() == before + 3
    await cache.close()
    await until(lambda: count() == before)


async def test_no_seed_knows_a_cluster(open_at: Opener, own: Redis) -> None:
    """One seed is down, and one is a Redis outside of any cluster."""
    cache = open_at(f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{own.port}/", timeout=SOON)
    with capture_logs() as logs:
        for _ in range(3):
            assert await cache.get(GUID, NOW) is None
            await cache.settle(await cache.lease(GUID), RECORD, NOW)
            with pytest.raises(OSError, match="cluster support disabled"):
                await cache.ping()
    assert [line["event"] for line in logs] == ["cache lost"]
    assert (cache.counts.unsettled, cache.counts.unreachable) == (1, 1)


async def test_a_node_that_belongs_to_no_cluster_yet_knows_nothing(
    cluster: RedisCluster, open_at: Opener, tmp_path: Path
) -> None:
    flags = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    with redis.started(tmp_path, flags=flags) as alone:
        cache = open_at(f"redis+cluster://127.0.0.1:{alone.port}/")
        with pytest.raises(OSError, match="knows of no slots"):
            await cache.ping()


async def test_scripts_that_the_masters_have_forgotten_are_loaded_anew(
    cluster: RedisCluster, open_at: Opener
) -> None:
    cache = open_at(cluster.fresh())
    await fill_up(cache)
    for node in cluster.masters:
        node.ask("SCRIPT", "FLUSH")
    assert await entries(cache) == [record(guid) for guid in GUIDS]


async def test_a_call_that_is_redirected_too_often_gives_up(
    cluster: RedisCluster, open_at: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = open_at(cluster.fresh())
    await fill_up(cache)
    monkeypatch.setattr(redis_servers, "AGAIN", 0)
    servers = servers_of(cache)
    servers._slots = [*servers._slots[6000:], *servers._slots[:6000]]
    assert None in await entries(cache)


async def test_a_server_that_has_no_slots_any_more_is_let_go_of(
    cluster: RedisCluster, open_at: Opener
) -> None:
    cache = open_at(cluster.fresh())
    await cache.ping()
    former = free_port()
    servers_of(cache)._server("127.0.0.1", former)
    servers_of(cache)._refresh_soon()
    await until(lambda: former not in ports(cache))


async def test_a_master_that_hung_for_a_moment_is_back(
    cluster: RedisCluster, open_at: Opener
) -> None:
    cache = open_at(cluster.fresh(), timeout=0.25, pauses=lambda _: 0.02)
    await fill_up(cache)
    hung = cluster.owner(prefix(cache) + GUIDS[0])
    with capture_logs() as logs:
        hung.process.signal(signal.SIGSTOP)
        while not cache.counts.unreachable:
            assert await cache.get(GUIDS[0], NOW) is None
        hung.process.signal(signal.SIGCONT)
        await until(lambda: not cache.counts.unreachable and len(logs) > 1)
    assert [line["event"] for line in logs][:2] == ["cache lost", "cache back"]


async def test_a_master_that_hangs_at_first_is_not_waited_for(
    cluster: RedisCluster, open_at: Opener
) -> None:
    cache = open_at(cluster.fresh(), timeout=0.05)
    hung = cluster.owner(prefix(cache) + GUID)
    hung.process.signal(signal.SIGSTOP)
    assert await cache.get(GUID, NOW) is None
    hung.process.signal(signal.SIGCONT)
    await cache.close()


async def test_a_cluster_is_found_when_it_answers(cluster: RedisCluster, open_at: Opener) -> None:
    """Its only known node hangs at first."""
    metrics = Metrics()
    seed = cluster.nodes[-1]
    cache = open_at(f"redis+cluster://127.0.0.1:{seed.port}/", timeout=0.05, metrics=metrics)
    seed.process.signal(signal.SIGSTOP)
    with capture_logs() as logs:
        assert await cache.get(GUID, NOW) is None
        await until(lambda: metric(metrics, "guidkeep_cache_failures", "connect") == [2])
        assert cache.counts.unreachable == 1
        seed.process.signal(signal.SIGCONT)
        await until(lambda: cache.counts.unreachable == 0 and len(logs) > 1)
    assert [line["event"] for line in logs] == ["cache lost", "cache back"]


async def test_a_cache_may_be_closed_while_it_looks_for_the_cluster(
    cluster: RedisCluster, open_at: Opener
) -> None:
    cache = open_at(cluster.fresh())
    asked = asyncio.ensure_future(cache.get(GUID, NOW))
    await asyncio.sleep(0)
    await cache.close()
    assert await asked is None


async def test_a_cluster_that_hangs_can_be_closed(open_at: Opener, own: Redis) -> None:
    own.process.signal(signal.SIGSTOP)
    cache = open_at(f"redis+cluster://127.0.0.1:{own.port}/", timeout=SOON)
    assert await cache.get(GUID, NOW) is None
    assert await cache.get(GUID, NOW) is None
    await cache.close()


async def test_a_replica_takes_the_place_of_a_master_that_was_killed(
    own_cluster: RedisCluster, open_at: Opener
) -> None:
    """Meanwhile the other masters' keys are there; later nothing is left from before."""
    cache = open_at(own_cluster.fresh(), timeout=SOON)
    await fill_up(cache)
    lost = own_cluster.masters[0]
    theirs = [guid for guid in GUIDS if own_cluster.owner(prefix(cache) + guid) is not lost]
    mine = next(guid for guid in GUIDS if guid not in theirs)
    replica = own_cluster.nodes[3]
    lost.ask("WAIT", 1, 1000)
    with capture_logs() as logs:
        lost.process.kill()
        for _ in range(3):
            assert await held(cache, mine) is None
        await cache.settle(await cache.lease(mine), None, NOW)
        assert cache.counts.unsettled == 1
        assert await held(cache, theirs[-1]) == record(theirs[-1])
        await until(lambda: replica.port in ports(cache) and lost.port not in ports(cache))
        await until(lambda: cache.counts.unsettled == cache.counts.unreachable == 0)
        await until(lambda: [line["event"] for line in logs] == ["cache lost", "cache back"])
    assert await held(cache, mine) is None
    await keep(cache, record(mine))
    assert await held(cache, mine) == record(mine)
    assert await held(cache, theirs[-1]) == record(theirs[-1])
    await cache.ping()


async def test_slots_without_a_server_are_misses(
    own_cluster: RedisCluster, open_at: Opener
) -> None:
    left = own_cluster.masters[2]
    cache = open_at(f"redis+cluster://127.0.0.1:{left.port}/", timeout=SOON)
    mine = next(guid for guid in GUIDS if own_cluster.owner(prefix(cache) + guid) is left)
    await keep(cache, record(mine))
    for node in (own_cluster.masters[1], own_cluster.nodes[4]):
        node.process.kill()
    await until(lambda: b"cluster_state:fail" in left.ask("CLUSTER", "INFO"))
    for guid in (mine, *GUIDS):
        assert not isinstance(await cache.get(guid, NOW), Record)
        await cache.settle(await cache.lease(guid), None, NOW)
    with pytest.raises(OSError):  # noqa: PT011 - the registry expects any OSError
        await cache.ping()
    assert cache.counts.unsettled == len(GUIDS)
