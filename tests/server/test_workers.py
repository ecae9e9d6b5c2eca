"""`--workers`: several processes that serve one port, and the death of one of them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from guidkeep import __version__
from guidkeep.cli.main import main
from servers.nodes import ENVIRONMENT
from servers.processes import children, is_gone
from tests.server.processes import GUIDKEEP, serving
from tests.server.test_drain import Load
from tests.server.test_kill import Client
from tests.server.test_start import refused
from tests.server.wire import Connection, Lost, record, wired
from tests.support import until, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.engines import Engines
    from tests.server.processes import Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")


@pytest.fixture(params=["postgresql", "mysql"])
def store(request: pytest.FixtureRequest, engines: Engines) -> str:
    """The URL of an empty store that several processes can open."""
    return engines.get(request.param).fresh()


@pytest.fixture
def cache(engines: Engines) -> str:
    return engines.get("redis").fresh()


@pytest.fixture
def server(store: str, cache: str, tmp_path: Path) -> Iterator[Server]:
    with serving(store, "--cache", cache, "--workers", "3", log=tmp_path / "log") as running:
        yield running


def has(log: Path, event: str, times: int) -> Callable[[], bool]:
    """Returns a function: whether that event was logged that often."""
    return lambda: log.read_text().count(event) >= times


def figures(text: str, name: str) -> dict[str, float]:
    """The sum of a metric's series by worker."""
    found: dict[str, float] = {}
    for labels, value in re.findall(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE):
        worker = re.search(r'worker="(\d+)"', labels)
        assert worker
        found[worker[1]] = found.get(worker[1], 0) + float(value)
    return found


def test_all_workers_accept_when_the_address_is_printed(server: Server, store: str) -> None:
    assert server.line.startswith(f"Guidkeep {__version__} serves ")
    assert server.line.endswith(f" on {server.address}")
    assert len(children(server.process.pid)) == 3
    for _ in range(50):
        with wired(server.address) as wire:
            assert wire.ask("GET", "/livez").status == 200


def test_connections_are_spread_over_the_workers_and_any_tells_the_figures_of_all(
    server: Server,
) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(wired(server.address)) for _ in range(60)]
        for wire in wires:
            assert wire.ask("GET", "/livez").status == 200
        for wire in wires:
            text = wire.ask("GET", "/metrics").body.decode()
            connections = figures(text, "guidkeep_connections")
            assert connections.keys() == {"0", "1", "2"}
            assert sum(connections.values()) == 60
            assert min(connections.values()) > 0
            asked = 'guidkeep_request_seconds_count{.*route="/livez".*}'
            assert sum(float(n) for n in re.findall(rf"^{asked} (\S+)$", text, re.MULTILINE)) == 60
    assert text.count("# TYPE guidkeep_request_seconds histogram\n") == 1


def test_a_record_is_the_same_through_every_worker(server: Server, guid: str) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(wired(server.address)) for _ in range(12)]
        for at, wire in enumerate(wires):
            answer = wire.ask("POST", f"/guid/{guid}", record(str(at)))
            assert answer.status == (200 if at else 201)
            for other in wires:
                assert other.ask("GET", f"/guid/{guid}").json["user"] == str(at)


async def write_on(client: Client, address: str, over: asyncio.Event) -> int:
    """Writes until it is over, reconnecting as needed; returns the number of lost connections."""
    lost = 0
    while not over.is_set():
        connection = await Connection.to(address)
        try:
            await client.check(connection)
            while not over.is_set():
                await client.write(connection)
        except Lost:
            lost += 1
            client.give_up_what_is_open()
        finally:
            connection.close()
    return lost


async def test_a_worker_that_is_killed_under_load_is_replaced_and_nothing_answered_is_lost(
    server: Server, tmp_path: Path
) -> None:
    clients = [Client(number, seed=1) for number in range(12)]
    over = asyncio.Event()
    load = [asyncio.ensure_future(write_on(client, server.address, over)) for client in clients]
    first = children(server.process.pid)
    for count in range(1, 4):
        for victim in sorted(children(server.process.pid))[:2]:
            os.kill(victim, signal.SIGKILL)
        await until(has(tmp_path / "log", "worker replaced", 2 * count))
    over.set()
    lost = await asyncio.gather(*load)
    assert sum(lost) > 0, "no client felt it: no worker was killed"
    assert len(children(server.process.pid)) == 3
    assert len(set(first) & set(children(server.process.pid))) < 3
    connection = await Connection.to(server.address)
    for client in clients:
        await client.check(connection)
    connection.close()


async def test_sigterm_under_load_drops_no_request(server: Server, store: str, cache: str) -> None:
    load = Load(server.address)
    clients = [
        asyncio.ensure_future(ask(number * 2 + at))
        for number in range(8)
        for at, ask in enumerate([load.keep_alive, load.connect_each_time])
    ]
    await asyncio.wait(
        [asyncio.ensure_future(load.enough.wait()), *clients],
        return_when=asyncio.FIRST_COMPLETED,
    )
    assert load.enough.is_set()
    workers = children(server.process.pid)
    server.process.send_signal(signal.SIGTERM)
    await asyncio.gather(*clients)
    assert await asyncio.to_thread(server.process.wait, 30) == 0
    assert load.lost == []
    assert all(map(is_gone, workers))
    with serving(store, "--cache", cache) as again, wired(again.address) as wire:
        for guid, user in load.written.items():
            assert wire.ask("GET", f"/guid/{guid}").json["user"] == user


def test_workers_do_not_outlive_the_process_that_started_them(server: Server) -> None:
    workers = children(server.process.pid)
    assert len(workers) == 3
    server.kill()
    wait_until(lambda: all(map(is_gone, workers)))


def test_a_worker_that_is_told_to_end_is_replaced(server: Server, tmp_path: Path) -> None:
    [victim, *_] = children(server.process.pid)
    os.kill(victim, signal.SIGTERM)
    wait_until(has(tmp_path / "log", "worker replaced", 1))
    assert len(children(server.process.pid)) == 3
    for _ in range(50):  # its socket lets clients in again
        with wired(server.address) as wire:
            assert wire.ask("GET", "/livez").status == 200


def test_a_second_server_can_not_have_the_port(server: Server, store: str, cache: str) -> None:
    port = server.address.rpartition(":")[2]
    for workers in ("1", "2"):
        said = refused("--port", port, "--store", store, "--cache", cache, "--workers", workers)
        assert f"Can't listen on 127.0.0.1:{port}: Address already in use." in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "needs a --store that several processes can open: mysql://"),
        (["--store", "mysql://nowhere"], "needs a --cache that the workers share: redis://"),
        (["--store", "mysql://nowhere", "--cache", "memory://?max_size=1MiB"], "none://"),
    ],
)
def test_what_belongs_to_one_process_is_refused(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--workers", "2", "--port", "0", *flags]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("guidkeep: --workers 2 needs ")
    assert said in printed.err


def test_a_store_that_can_not_be_opened_is_refused_as_by_one_process(engines: Engines) -> None:
    store = f"{engines.get('postgresql').fresh()}_is_not_there"
    flags = ["--store", store, "--cache", "none://"]

    def refusal(workers: str) -> str:
        ended = subprocess.run(
            [*GUIDKEEP, "serve", "--port", "0", *flags, "--workers", workers],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ended.returncode, ended.stdout) == (2, "")
        return ended.stderr.splitlines()[-1]

    said = refusal("2")
    assert said.startswith("guidkeep: ")
    assert said == refusal("1")
