"""A process that forks: what the parent and the child share."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep import Client
from guidkeep.client.per_process import PerProcess
from guidkeep.record import new_guid
from tests.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guidkeep.server.server import Running

FORKING = """
import asyncio, json, os, random, sys
from guidkeep import AsyncClient, Client
from guidkeep.record import new_guid, new_version

{before}
reading, writing = os.pipe()
child = os.fork()
is_child = child == 0
{after}
if is_child:
    with open(writing, "w") as out:
        json.dump(came, out)
    os._exit(0)
os.close(writing)
with open(reading) as pipe:
    theirs = json.load(pipe)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(json.dumps([came, theirs]))
"""
"""A program that runs `after` in the parent and in the child, and prints both results."""


def forking(before: str, after: str, *words: str) -> list[Any]:
    """Returns the results, the parent's first."""
    program = FORKING.format(before=before, after=after)
    command = [sys.executable, "-W", "error", "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    came: list[Any] = json.loads(done.stdout)
    return came


@pytest.mark.parametrize(
    "draw", ["new_guid()", "new_version(0, None)", "random.random()"], ids=str.split
)
def test_parent_and_child_draw_nothing_random_that_is_the_same(draw: str) -> None:
    mine, theirs = forking(draw, f"came = [{draw} for _ in range(100)]")
    assert not set(mine) & set(theirs)


def test_parent_and_child_create_records_of_their_own(running: Running) -> None:
    mine, theirs = forking(
        "client = Client(sys.argv[1]); client.create({'user': 'before'})",
        "came = [client.create({'user': str(is_child)}).text for _ in range(50)]\n"
        "again = [client.read(json.loads(text)['guid']).text for text in came]\n"
        "assert came == again",
        running.address,
    )
    assert {json.loads(text)["user"] for text in mine} == {"False"}
    assert {json.loads(text)["user"] for text in theirs} == {"True"}
    assert len({json.loads(text)["guid"] for text in mine + theirs}) == 100


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("client = Client(sys.argv[1]); client.check()", "came = client.check()"),
        (
            "client = AsyncClient(sys.argv[1]); asyncio.run(client.check())",
            "came = asyncio.run(client.check()) if is_child else 'ok'",
        ),
    ],
    ids=["Client", "AsyncClient"],
)
def test_the_child_makes_connections_of_its_own_and_the_parent_keeps_its(
    before: str, after: str
) -> None:
    with counting() as (address, connections):
        assert forking(before, after, address) == ["ok", "ok"]
    assert len(connections) == 2


def test_an_export_that_the_child_reads_on_is_asked_for_again_from_there(running: Running) -> None:
    mine, theirs = forking(
        "client = Client(sys.argv[1])\n"
        "user = new_guid()\n"
        "list(client.bulk([{'user': user, 'text': 'x' * 60000}] * 40))\n"
        "records = client.export(user=user)\n"
        "first = next(records).guid",
        "came = [record.guid for record in records]",
        running.address,
    )
    assert len(mine) == 39
    assert mine == theirs


def test_what_a_process_has_for_itself_is_made_once_in_each() -> None:
    processes = [1]
    thing = PerProcess(object, lambda: processes[-1])
    first = thing.own()
    assert thing.own() is first
    processes.append(2)
    second = thing.own()
    assert second is not first
    assert thing.own() is second


def test_threads_that_ask_at_once_after_a_fork_get_the_same() -> None:
    processes, both = [1], threading.Barrier(2)

    def make() -> object:
        if processes[-1] == 2:
            both.wait(PATIENCE)  # each has found that no connection exists yet
        return object()

    thing = PerProcess(make, lambda: processes[-1])
    processes.append(2)
    with ThreadPoolExecutor(2) as threads:
        first, second = (threads.submit(thing.own) for _ in range(2))
        assert first.result() is second.result() is thing.own()


def test_an_answer_of_the_parents_counts_as_lost(running: Running) -> None:
    with Client(running.address) as client:
        user = new_guid()
        sent = sorted(client.create({"user": user}).guid for _ in range(2))
        processes = [os.getpid()]
        client._http._process = lambda: processes[-1]
        records = client.export(user=user)
        first = next(records).guid
        processes.append(2)
        assert [first, *(record.guid for record in records)] == sent
        client._http._owned[os.getpid()].close()


@contextmanager
def counting() -> Iterator[tuple[str, list[object]]]:
    """A server that is ready, with its address and the connections that it has accepted."""
    connections: list[object] = []
    response = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n"

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            connections.append(self.client_address)
            while line := self.rfile.readline():
                if line == b"\r\n":
                    self.wfile.write(response + b'{"status": "ok"}')

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", connections
        finally:
            server.shutdown()
            thread.join()
