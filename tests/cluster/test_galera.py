"""Three Galera nodes, Redis and three nodes of Guidkeep: one of each at a time may fail."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from guidkeep.metrics import Metrics
from guidkeep.stores.mysql.store import MySQLStore
from servers.galera import OwnGalera
from servers.processes import Failed
from tests.cluster.conftest import nodes_on
from tests.cluster.load import Load
from tests.consistency import workload
from tests.consistency.http import Connections
from tests.consistency.judge import judge, require
from tests.stores.records import guid_of, make_record, newer
from tests.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from servers.galera import Node
    from servers.mysql import Server
    from tests.engines import Engines

pytestmark = pytest.mark.thorough

RESUMED = 30.0
"""The longest time, in seconds, until all nodes acknowledge writes again."""
ISOLATE = "SET GLOBAL wsrep_provider_options = 'gmcast.isolate={}'"
ALL = "SELECT HEX(guid), expire, version, HEX(metadata) FROM {}.record ORDER BY guid"


@pytest.fixture
def cluster(engines: Engines) -> Iterator[OwnGalera]:
    """The cluster of all tests; after each test all its nodes are up and joined again."""
    whole = engines.get("galera")
    if not isinstance(whole, OwnGalera):
        pytest.skip("This cluster runs already: its nodes are not ours to kill.")
    yield whole
    for node in whole.nodes:
        node.process.signal(signal.SIGCONT)
        if node.process.exit_code is not None:
            node.launch()
        else:
            node.run(ISOLATE.format(0))
        node.wait()


@pytest.fixture
def cache(engines: Engines) -> str:
    """The URL of an empty database."""
    return engines.get("redis").fresh()


def each_first(cluster: OwnGalera, url: str) -> list[str]:
    """The URLs with all nodes, each of them first once."""
    login, at, rest = url.rpartition("@")
    hosts, slash, database = rest.partition("/")
    names = hosts.split(",")
    turns = [names[turn:] + names[:turn] for turn in range(len(names))]
    return [f"{login}{at}{','.join(turn)}{slash}{database}" for turn in turns]


def alone(server: Server, url: str) -> str:
    """The URL of the database on one node."""
    return f"{server.url.rstrip('/')}/{url.rpartition('/')[2]}"


def everything(server: Server, url: str) -> str:
    """Returns the records of a node, once it has those of the others.

    A node that hung may notice only now that it was excluded, and has to rejoin first.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return server.run(
                f"SET SESSION wsrep_sync_wait = 1; {ALL.format(url.rpartition('/')[2])}"
            )
        except Failed:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


async def struck(
    cluster: OwnGalera,
    cache: str,
    folder: Path,
    node: Node,
    strike: Callable[[], None],
    heal: Callable[[], None],
) -> None:
    """Breaks a node under load, and heals it under load: the others continue without it.

    Acknowledged writes are there, during and after the fault; in the end the node has all records.
    """
    url = cluster.fresh()
    with nodes_on(folder, each_first(cluster, url), "--cache", cache) as nodes:
        async with Load([each.address for each in nodes]) as load:
            async with load.running():
                await load.more(100)
                began = time.monotonic()
                strike()
                await load.more(100)
            sys.stdout.write(load.told(began))
            await load.check()
            assert load.gap(began) < RESUMED
            one, other = (everything(each, url) for each in cluster.nodes if each is not node)
            assert one == other
            async with load.running():
                await asyncio.to_thread(heal)
                await load.more(20)
            await load.check()
    first, *others = (everything(each, url) for each in cluster.nodes)
    assert all(other == first for other in others)


@pytest.mark.timeout(180)
async def test_a_node_of_galera_is_killed_under_load(
    cluster: OwnGalera, cache: str, tmp_path: Path
) -> None:
    node = cluster.nodes[0]
    await struck(cluster, cache, tmp_path, node, node.process.kill, node.start)


@pytest.mark.timeout(180)
async def test_a_node_of_galera_hangs_under_load(
    cluster: OwnGalera, cache: str, tmp_path: Path
) -> None:
    """Its connections stay open, and new ones are not refused."""
    node = cluster.nodes[1]

    def go_on() -> None:
        node.process.signal(signal.SIGCONT)
        node.wait()

    await struck(cluster, cache, tmp_path, node, lambda: node.process.signal(signal.SIGSTOP), go_on)


@pytest.mark.timeout(180)
async def test_a_node_of_galera_is_cut_off_from_the_others_under_load(
    cluster: OwnGalera, cache: str, tmp_path: Path
) -> None:
    """It responds, but is no longer part of the cluster: error 1047."""
    node = cluster.nodes[2]

    def join_again() -> None:
        node.run(ISOLATE.format(0))
        node.wait()

    def isolate() -> None:
        node.run(ISOLATE.format(1))

    await struck(cluster, cache, tmp_path, node, isolate, join_again)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("strike", ["killed", "cut off"])
async def test_what_clients_see_meanwhile_is_linearizable(
    cluster: OwnGalera, cache: str, tmp_path: Path, strike: str
) -> None:
    """Many clients on few records, with the cache always reachable: the strict promise holds."""
    url = cluster.fresh()
    struck = cluster.nodes[1]
    load = workload.Load(seed=1, clients=12)
    over = asyncio.Event()
    began = time.monotonic()
    recorder = workload.Recorder(
        load, lambda: time.monotonic() - began, time.time, is_over=over.is_set
    )
    with nodes_on(tmp_path, each_first(cluster, url), "--cache", cache) as nodes:
        addresses = [node.address for node in nodes]
        transports = [Connections(addresses, patience=30) for _ in range(load.clients)]

        async def strikes() -> None:
            await written(recorder, 200)
            if strike == "killed":
                struck.process.kill()
            else:
                struck.run(ISOLATE.format(1))
            await written(recorder, 200)
            if strike == "cut off":
                struck.run(ISOLATE.format(0))
                await asyncio.to_thread(struck.wait)
            over.set()

        await asyncio.gather(recorder.run(transports.__getitem__), strikes())
        await recorder.read_all(transports[0])
        for transport in transports:
            transport.close()
    verdict = judge(recorder.history)
    require(verdict, recorder.history, f"galera {strike}", "see the test")
    sys.stdout.write(f"\n{strike}: {verdict}")
    assert verdict.checked > 300, "too little was done to tell"


async def written(recorder: workload.Recorder, writes: int) -> None:
    """Returns when each node has acknowledged that many writes that began after the call."""
    since = recorder.elapsed()
    async with asyncio.timeout(PATIENCE):
        counts = [0]
        while min(counts) < writes:
            await asyncio.sleep(0.1)
            counts = [
                sum(
                    one.has_written and one.node == node and one.invoked >= since
                    for one in recorder.history
                )
                for node in range(len(recorder.load.skews))
            ]


@pytest.fixture
async def stores(cluster: OwnGalera) -> AsyncIterator[list[MySQLStore]]:
    """One store on each node."""
    url = cluster.fresh()
    opened = [
        await MySQLStore.open(alone(node, url), timeout=5.0, metrics=Metrics())
        for node in cluster.nodes
    ]
    yield opened
    for store in opened:
        await store.close()


@asynccontextmanager
async def busy(store: MySQLStore) -> AsyncIterator[None]:
    """Keeps a node writing during the block, so that the other nodes lag behind it."""
    over = asyncio.Event()
    text = json.dumps({"user": "x" * 2000})

    async def write() -> None:
        for first in itertools.count(1000, 200):
            if over.is_set():
                return
            records = (make_record(first + at, metadata=text) for at in range(200))
            await asyncio.gather(*map(store.insert, records))

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        yield
        over.set()


async def test_a_read_through_another_node_sees_the_last_answered_write(
    stores: list[MySQLStore],
) -> None:
    record = make_record()
    assert await stores[0].insert(record)
    async with busy(stores[0]):
        for number in range(200):
            record, former = newer(record), record
            assert await stores[0].replace(record, former.version)
            assert await stores[1 + number % 2].get(record.guid) == record


async def test_a_write_through_another_node_finds_the_version_that_was_just_written(
    stores: list[MySQLStore],
) -> None:
    """If it were refused, a fence would treat a version as gone that has not arrived yet."""
    record = make_record()
    assert await stores[0].insert(record)
    async with busy(stores[0]):
        for number in range(200):
            for store in (stores[0], stores[1 + number % 2]):
                record, former = newer(record), record
                assert await store.replace(record, former.version)
        for number in range(100):
            new = make_record(2 + number)
            assert await stores[0].insert(new)
            assert not await stores[1].insert(new)
            assert await stores[2].delete(new.guid, new.version)


async def test_of_writes_at_once_through_all_nodes_one_comes_first(
    stores: list[MySQLStore],
) -> None:
    """Writes that fail certification are tried again, and find another version."""
    record = make_record()
    created = await asyncio.gather(*(store.insert(record) for store in stores))
    assert sorted(created) == [False, False, True]
    for number in range(200):
        drafts = [newer(record, user=f"{number} {at}") for at in range(3)]
        done = await asyncio.gather(
            *(
                store.replace(draft, record.version)
                for store, draft in zip(stores, drafts, strict=True)
            )
        )
        assert sum(done) == 1
        record = drafts[done.index(True)]
        assert await stores[0].get(record.guid) == record


async def test_a_node_that_refuses_statements_is_left_unnoticed(cluster: OwnGalera) -> None:
    """As a node does that is joining or leaving the cluster."""
    url = each_first(cluster, cluster.fresh())[1]
    store = await MySQLStore.open(url, timeout=5.0, metrics=Metrics())
    refusing = cluster.nodes[1]
    try:
        work = (store.insert(make_record(number)) for number in range(20))
        assert all(await asyncio.gather(*work))
        refusing.run("SET GLOBAL wsrep_reject_queries = 'ALL'")
        work = (store.insert(make_record(number)) for number in range(20, 40))
        assert all(await asyncio.gather(*work))
        for number in range(40):
            assert await store.get(guid_of(number)) == make_record(number)
    finally:
        refusing.run("SET GLOBAL wsrep_reject_queries = 'NONE'")
        await store.close()
