"""The cluster serves the specification's examples, while one of each part is killed in turn."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import httpx2
import pytest

from servers.processes import Missing, children, is_gone, program
from tests.docs.pages import ROOT
from tests.engines import lack
from tests.support import NO_TLS, PATIENCE, all_trust_the_cache, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.thorough

GUID = "9094E4C980C74043A4B586B420E69DDF"
CREATE = '{\n"expire": "4102444800",\n"user": "Cylance, Inc."\n}\n'
CREATE_WITHOUT_GUID = '{\n"user": "Cylance, Inc."\n}\n'
UPDATE = '{\n   "expire": "4102531200"\n}\n'
RECORD = {"guid": GUID, "expire": "4102444800", "user": "Cylance, Inc."}
PARTS = ("node-1", "redis", "mariadb", "nginx")
CLIENTS = 6


class Cluster:
    """`python -m servers.cluster`, as a process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pids: dict[str, int] = {}
        self.ports: dict[str, int] = {}
        self.address = ""
        while not self.address:
            self.address = self.hear()

    def hear(self) -> str:
        """Reads a line of its output; returns the address if the line has one."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the cluster ended"
        runs = re.fullmatch(r"(\S+) runs, pid (\d+)\n", line)
        if runs:
            self.pids[runs[1]] = int(runs[2])
        answers = re.fullmatch(r"(\S+) listens on 127\.0\.0\.1:(\d+)\n", line)
        if answers:
            self.ports[answers[1]] = int(answers[2])
        serves = re.fullmatch(r"The cluster serves on (http://127\.0\.0\.1:\d+)\n", line)
        return serves[1] if serves else ""

    @property
    def nodes(self) -> list[str]:
        """The nodes' addresses."""
        ports = (port for name, port in self.ports.items() if name.startswith("node-"))
        return [f"http://127.0.0.1:{port}" for port in ports]

    def kill(self, part: str) -> None:
        """SIGKILL; see `hear_again`."""
        os.kill(self.pids[part], signal.SIGKILL)

    def hear_again(self, part: str) -> None:
        """Returns when the part has been started again."""
        before = self.pids[part]
        while self.pids[part] == before:
            self.hear()


COMMAND = (sys.executable, "-m", "servers.cluster", "--folder")


@contextmanager
def cluster_in(folder: Path, ending: signal.Signals = signal.SIGINT) -> Iterator[Cluster]:
    for name in ("mariadbd", "redis-server", "nginx"):
        try:
            program(name, package=name)
        except Missing as missing:
            lack(missing)
    command = [*COMMAND, str(folder), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Cluster(process)
            process.send_signal(ending)
            assert process.stdout
            said = process.stdout.read().splitlines()
            assert said[-len(PARTS) - 2 :] == [
                f"{name} stopped"
                for name in ("nginx", "node-3", "node-2", "node-1", "redis", "mariadb")
            ]
            assert process.wait(timeout=60) == 0
        finally:
            process.terminate()


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False, timeout=30, verify=NO_TLS) as made:
        yield made


async def ask(
    client: httpx2.AsyncClient, method: str, url: str, body: str | None = None
) -> httpx2.Response:
    """Repeats the request until it succeeds: 502 and 503 allow a retry."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(httpx2.TransportError):  # the balancer itself is down
                answer = await client.request(method, url, content=body)
                if answer.status_code not in (502, 503):
                    return answer
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["retry-after"] == "1"
            await asyncio.sleep(0.05)


class Reader:
    """Reads, and returns whether the record may be older than the last acknowledged write.

    It may while some nodes reach Redis and others do not, as after its restart: those others can't
    drop entries there.
    """

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self.may_be_old = False

    async def read(self, url: str, status: int, wanted: object = None) -> None:
        """Asserts that the record is as it was written, at once unless it may be old."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await ask(self._client, "GET", url)
                if answer.status_code == status and wanted in (None, answer.json()):
                    return
                assert self.may_be_old, answer.text


async def examples(client: httpx2.AsyncClient, reader: Reader, address: str) -> None:
    """The specification's examples, in order, each retried where a client would."""
    url = f"{address}/guid/{GUID}"
    await ask(client, "DELETE", url)
    answer = await ask(client, "POST", url, CREATE)
    assert answer.status_code in (200, 201)  # 200: it was done, but the response was lost
    assert answer.json() == RECORD
    await reader.read(url, 200, RECORD)
    answer = await ask(client, "POST", url, UPDATE)
    assert (answer.status_code, answer.json()) == (200, RECORD | {"expire": "4102531200"})
    await reader.read(url, 200, RECORD | {"expire": "4102531200"})
    answer = await ask(client, "DELETE", url)
    assert answer.status_code in (204, 404)  # 404: the same
    await reader.read(url, 404)
    answer = await ask(client, "POST", f"{address}/guid", CREATE_WITHOUT_GUID)
    made = answer.json()
    assert (answer.status_code, list(made)) == (201, ["guid", "expire", "user"])
    await reader.read(f"{address}/guid/{made['guid']}", 200, made)


class Writer:
    """Increments a counter record; acknowledged writes must never be lost."""

    def __init__(self, client: httpx2.AsyncClient, reader: Reader, number: int) -> None:
        self._client = client
        self._reader = reader
        self._path = f"/guid/{number:032X}"
        self._record: object = None
        self.answered = 0

    async def run(self, address: str, over: asyncio.Event) -> None:
        while not over.is_set():
            wanted = self.answered + 1
            body = f'{{"user": "Ann", "expire": 4102444800, "count": {wanted}}}'
            answer = await ask(self._client, "PUT", f"{address}{self._path}", body)
            self._record = answer.json()
            assert answer.json()["count"] == wanted
            self.answered = wanted
            await self.check(address)

    async def check(self, address: str) -> None:
        await self._reader.read(f"{address}{self._path}", 200, self._record)


@pytest.fixture
def reader(client: httpx2.AsyncClient) -> Reader:
    return Reader(client)


@pytest.mark.timeout(300)
async def test_the_examples_are_served_while_one_of_each_part_is_killed_in_turn(
    tmp_path: Path, client: httpx2.AsyncClient, reader: Reader
) -> None:
    writers = [Writer(client, reader, number) for number in range(1, CLIENTS + 1)]
    with cluster_in(tmp_path) as cluster:
        over = asyncio.Event()
        load = asyncio.gather(*(writer.run(cluster.address, over) for writer in writers))
        await examples(client, reader, cluster.address)
        for part in PARTS:
            reader.may_be_old = part == "redis"
            cluster.kill(part)
            await examples(client, reader, cluster.address)
            await asyncio.to_thread(cluster.hear_again, part)
            if part == "redis":
                await all_trust_the_cache(cluster.nodes)
                reader.may_be_old = False
            await examples(client, reader, cluster.address)
        over.set()
        await load
        for writer in writers:
            assert writer.answered > 0
            await writer.check(cluster.address)
    with cluster_in(tmp_path) as again:  # the records are still there
        for writer in writers:
            await writer.check(again.address)


async def test_a_dead_node_is_passed_over_at_once(
    tmp_path: Path, client: httpx2.AsyncClient
) -> None:
    """All methods except those whose request may have been done."""
    with cluster_in(tmp_path, ending=signal.SIGHUP) as cluster:
        cluster.kill("node-2")
        for number in range(30):
            url = f"{cluster.address}/guid/{number:032X}"
            assert (await client.put(url, content='{"user": "Ann"}')).status_code == 201
            assert (await client.get(url)).status_code == 200
        cluster.hear_again("node-2")


async def test_a_balancer_that_is_killed_leaves_no_worker_with_its_port(
    tmp_path: Path, client: httpx2.AsyncClient
) -> None:
    with cluster_in(tmp_path) as cluster:
        killed = children(cluster.pids["nginx"])
        cluster.kill("nginx")
        cluster.hear_again("nginx")
        assert (await ask(client, "GET", f"{cluster.address}/livez")).status_code == 200
        await until(lambda: all(map(is_gone, killed)))
        workers = children(cluster.pids["nginx"])
        cluster.kill("nginx")
    assert killed
    assert workers
    await until(lambda: all(map(is_gone, workers)))


def refused(*arguments: str) -> str:
    """Returns the output of a cluster that does not start."""
    ended = subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    return ended.stderr


def test_two_clusters_in_one_folder_are_refused(tmp_path: Path) -> None:
    with cluster_in(tmp_path):
        said = refused(str(tmp_path), "--port", "0")
    assert said == f"cluster: A cluster runs in {tmp_path} already.\n"


def test_a_port_that_another_program_has_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(str(tmp_path), "--port", str(port))
    assert said == f"cluster: Another program listens on 127.0.0.1:{port}.\n"
