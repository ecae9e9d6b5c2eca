"""A Redis Cluster of three masters, each with a replica, before one store: a master is killed."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from servers import redis_cluster
from tests.cluster.conftest import nodes_on
from tests.cluster.load import Load
from tests.engines import here
from tests.support import all_trust_the_cache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.redis_cluster import RedisCluster
    from tests.engines import Engines

pytestmark = pytest.mark.thorough

RESUMED = 30.0
"""The longest time, in seconds, until all nodes acknowledge writes again."""
MAX_AGE = 3
"""The longest life of an entry, in seconds: short, so that the test sees it end."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    folder = tmp_path_factory.mktemp("redis-cluster")
    with here(redis_cluster.started(folder, masters=3, replicas=3)) as running:
        yield running


@pytest.mark.timeout(120)
async def test_a_master_of_redis_is_killed_under_load(
    cluster: RedisCluster, engines: Engines, tmp_path: Path
) -> None:
    """No acknowledged write is lost, stale reads end as promised, the service continues."""
    store = engines.get("mysql").fresh()
    flags = ("--cache", cluster.fresh(), "--cache-max-age", f"{MAX_AGE}s")
    with nodes_on(tmp_path, [store] * 3, *flags) as nodes:
        addresses = [node.address for node in nodes]
        killed = 0.0
        async with Load(addresses, age=lambda: MAX_AGE if killed else 0.0) as load:
            async with load.running():
                await load.more(100)
                killed = time.monotonic()
                cluster.masters[1].process.kill()
                await load.more(200)
            sys.stdout.write(load.told(killed))
            assert load.gap(killed) < RESUMED
            assert (load.unknown, load.unwritten) == (0, 0)
            await all_trust_the_cache(addresses)
            killed = 0.0  # no stale read from here on
            await load.check()
            before = await load.hits()
            async with load.running():
                await load.more(100)
            await load.check()
            assert await load.hits() > before
