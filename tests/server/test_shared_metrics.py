"""The metrics of several workers, gathered by one of them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from guidkeep.metrics import Metrics, sums
from guidkeep.server.shared_metrics import shared_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@pytest.fixture
def names() -> Sequence[str]:
    return [f"\0guidkeep-test-{os.getpid()}-{number}" for number in range(3)]


async def test_each_worker_gathers_the_same_numbers_of_all(names: Sequence[str]) -> None:
    workers = [Metrics() for _ in names]
    for number, metrics in enumerate(workers):
        metrics.count("guidkeep_bulk_lines", 200, by=number)
        metrics.tally("guidkeep_batch_seconds", "read").observe(0.5 * number)
    async with (
        shared_metrics(workers[0], 0, names) as first,
        shared_metrics(workers[1], 1, names) as second,
        shared_metrics(workers[2], 2, names) as third,
    ):
        found = [await gather() for gather in (first, second, third)]
    expected = {number: metrics.numbers() for number, metrics in enumerate(workers)}
    for gathered in found:
        assert list(gathered) == [0, 1, 2]
        assert json.loads(json.dumps(gathered)) == json.loads(json.dumps(expected))


@pytest.mark.parametrize("said", [b"", b"{", b'{"guidkeep_bulk_lines": [[["200"], [1'])
async def test_a_worker_that_ends_while_it_sends_is_left_out(
    names: Sequence[str], said: bytes
) -> None:
    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with (
        shared_metrics(Metrics(), 0, names) as gather,
        await asyncio.start_unix_server(send, names[1]),
    ):
        assert list(await gather()) == [0]


AS_ANOTHER = """
import os, socket, sys
name = sys.argv[1].replace("@", chr(0), 1)
os.setgroups([])
os.setgid(54321)
os.setuid(54321)
with socket.socket(socket.AF_UNIX) as end:
    if sys.argv[2] == "ask":
        end.connect(name)
        sys.stdout.write(end.makefile().read())
    else:
        end.bind(name)
        end.listen()
        print("listens", flush=True)
        connection, _ = end.accept()
        connection.sendall(sys.argv[3].encode())
        connection.close()
"""


NUMBERS = json.dumps(Metrics().numbers())


@contextmanager
def another(name: str, does: str) -> Iterator[subprocess.Popen[str]]:
    """A process of another user, which asks a worker, or takes a worker's name."""
    command = [sys.executable, "-c", AS_ANOTHER, name.replace("\0", "@"), does, NUMBERS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
async def test_another_user_gets_no_numbers_and_none_of_its_own_are_believed(
    names: Sequence[str],
) -> None:
    async with (
        shared_metrics(Metrics(), 0, names),
        shared_metrics(Metrics(), 1, names) as gather,
    ):
        with another(names[0], "ask") as asking:
            assert asking.stdout is not None
            assert await asyncio.to_thread(asking.stdout.read) == ""
        with another(names[2], "tell") as telling:
            assert telling.stdout is not None
            assert await asyncio.to_thread(telling.stdout.readline) == "listens\n"
            assert list(await gather()) == [0, 1]


async def test_metrics_of_workers_that_do_not_answer_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One is not there, one says nothing, and one is."""
    monkeypatch.setattr("guidkeep.server.shared_metrics.PATIENCE", 0.05)
    names = [f"\0guidkeep-test-{os.getpid()}-{at}" for at in range(4)]
    here, there = Metrics(), Metrics()
    here.count("guidkeep_swept_records", by=3)
    there.count("guidkeep_swept_records", by=4)
    with closing(socket.socket(socket.AF_UNIX)) as silent:
        silent.bind(names[2])
        silent.listen()
        async with (
            shared_metrics(here, 0, names) as gather,
            shared_metrics(there, 3, names),
        ):
            gathered = await gather()
    assert list(gathered) == [0, 3]
    assert sums(gathered, "guidkeep_swept_records") == {(): [7]}
