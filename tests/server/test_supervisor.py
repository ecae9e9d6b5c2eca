"""The supervisor from the inside: starts that fail, restarts, workers that hang."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from guidkeep.cli.main import main
from guidkeep.errors import StartupError
from guidkeep.server import supervisor
from guidkeep.server.sockets import announce
from guidkeep.server.supervisor import Job, Worker, supervise
from guidkeep.settings import Settings
from guidkeep.system.backoff import Backoff
from servers.processes import children, free_port, is_gone
from tests.server.test_start import unchanged_process
from tests.server.wire import wired
from tests.support import iterations, until

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, MutableMapping
    from pathlib import Path

    from tests.engines import Engines

    Events = list[MutableMapping[str, Any]]

__all__ = ["unchanged_process"]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux"),
    pytest.mark.processes,
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "BACKOFF", Backoff(0.01, 0.1))


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    """The job that a worker reads when it starts."""
    path = tmp_path / "schema.json"
    path.write_text("{}")
    return path


def chosen(url: str, **settings: Any) -> Settings:
    """One worker: so the store may be an SQLite file."""
    return Settings(**{"port": 0, "store": url, "drain_timeout": 5.0, **settings})


@asynccontextmanager
async def supervised(settings: Settings) -> AsyncIterator[str]:
    """Serves in this process and its children; yields the address."""
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(supervise(settings, started=started.set_result))
    either: set[asyncio.Future[Any]] = {started, serving}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    try:
        if serving.done():
            serving.result()
        yield await started
    finally:
        if not serving.done():
            os.kill(os.getpid(), signal.SIGTERM)
        await serving


def damage(schema: Path) -> None:
    schema.write_text("{")


def repair(schema: Path) -> None:
    schema.write_text("{}")


def count(events: Events, name: str) -> int:
    return [event["event"] for event in events].count(name)


def happened(events: Events, name: str, times: int) -> bool:
    return count(events, name) == times


def answers(address: str) -> bool:
    try:
        with wired(address) as wire:
            return wire.ask("GET", "/livez").status == 200
    except ConnectionRefusedError:
        return False


def own_children() -> set[int]:
    """Workers, not the servers that other tests share."""
    return {pid for pid in children(os.getpid()) if "guidkeep.server.worker" in command(pid)}


def command(pid: int) -> str:
    with open(f"/proc/{pid}/cmdline") as file:  # noqa: PTH123 - no file that one could move
        return file.read()


async def test_sighup_is_passed_on_to_workers_that_are_there(url: str) -> None:
    settings = chosen(url)
    async with supervised(settings) as address:
        os.kill(os.getpid(), signal.SIGHUP)
        await iterations()
        assert await asyncio.to_thread(answers, address)
    place = Worker(Job(settings=settings, number=0, descriptor=0, names=("x",)), socket.socket())
    place.reload()  # there is no process yet
    place._listener.close()


async def test_sighup_to_a_supervisor_that_stops_reaches_no_worker(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reloaded: list[Worker] = []

    def reload(place: Worker) -> None:
        reloaded.append(place)

    monkeypatch.setattr(Worker, "reload", reload)
    async with supervised(chosen(url)):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        await iterations()
    assert reloaded == []


async def test_a_signal_while_workers_start_ends_it(url: str, schema: Path) -> None:
    schema = schema.with_name("fifo")
    os.mkfifo(schema)  # holds the start up
    started: list[str] = []
    serving = asyncio.ensure_future(
        supervise(chosen(url, metadata_schema=schema), started=started.append)
    )
    await until(lambda: len(own_children()) == 1)
    os.kill(os.getpid(), signal.SIGTERM)
    await serving
    assert started == []
    assert own_children() == set()


async def test_what_a_worker_says_when_it_can_not_start_is_raised(url: str, schema: Path) -> None:
    damage(schema)
    with pytest.raises(StartupError, match="is not JSON"):
        async with supervised(chosen(url, metadata_schema=schema)):
            pass
    assert own_children() == set()


async def test_a_worker_that_ends_without_a_word_is_a_startup_error(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(StartupError, match="ended with 1 before it accepted requests; the log"):
        async with supervised(chosen(url)):
            pass


async def test_a_worker_that_can_not_start_again_is_tried_again_and_clients_do_not_wait_for_it(
    url: str, schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LIVED", 0.0)
    with capture_logs() as events:
        async with supervised(chosen(url, metadata_schema=schema)) as address:
            assert answers(address)
            damage(schema)
            [victim] = own_children()
            os.kill(victim, signal.SIGKILL)
            await until(lambda: count(events, "worker can't start") >= 2)
            assert not await asyncio.to_thread(answers, address)
            repair(schema)
            await until(lambda: count(events, "worker replaced") == 1)
            assert await asyncio.to_thread(answers, address)
    [ended] = [event for event in events if event["event"] == "worker ended"]
    assert (ended["worker"], ended["status"]) == (0, -signal.SIGKILL)
    assert {"stopping", "stopped"} <= {event["event"] for event in events}


async def test_where_there_is_no_memory_for_a_worker_it_is_tried_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = asyncio.create_subprocess_exec
    failures = [BlockingIOError(11, "no processes left"), ValueError("what it said makes no sense")]

    async def start_in_the_end(*arguments: Any, **options: Any) -> Process:
        if failures:
            raise failures.pop()
        return await start(*arguments, **options)

    with capture_logs() as events:
        async with supervised(chosen(url)) as address:
            monkeypatch.setattr(asyncio, "create_subprocess_exec", start_in_the_end)
            [victim] = own_children()
            os.kill(victim, signal.SIGKILL)
            await until(lambda: count(events, "worker replaced") == 1)
            assert await asyncio.to_thread(answers, address)
    assert count(events, "worker can't start") == 2


async def test_a_worker_that_dies_often_is_replaced_each_time(url: str) -> None:
    with capture_logs() as events:
        async with supervised(chosen(url)) as address:
            for times in range(1, 4):
                [victim] = own_children()
                os.kill(victim, signal.SIGKILL)
                await until(partial(happened, events, "worker replaced", times))
            assert answers(address)


async def test_a_start_that_is_given_up_leaves_no_process(url: str) -> None:
    with closing(socket.socket()) as listener:
        job = Job(settings=chosen(url), number=0, descriptor=listener.fileno(), names=("\0none",))
        place = supervisor.Worker(job, listener)
        starting = asyncio.ensure_future(place.start())
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        await place.stop()
    assert own_children() == set()


async def test_a_worker_whose_answer_makes_no_sense_is_killed(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho what?\nexec sleep 1000\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    with closing(socket.socket()) as listener:
        job = Job(settings=chosen(url), number=0, descriptor=listener.fileno(), names=("\0none",))
        place = supervisor.Worker(job, listener)
        with pytest.raises(ValueError, match="Expecting value"):
            await place.start()
    assert place._process is not None
    assert place._process.returncode == -signal.SIGKILL


async def test_of_workers_that_start_none_goes_on_when_one_can_not(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a worker whose process does not exist yet, and so can't be stopped."""
    start = supervisor.Worker.start
    failing = asyncio.Event()

    async def fail_or_follow(place: supervisor.Worker) -> Process:
        if not failing.is_set():
            failing.set()
            raise StartupError("No.")
        await asyncio.sleep(0)
        return await start(place)

    monkeypatch.setattr(supervisor.Worker, "start", fail_or_follow)
    with pytest.raises(StartupError, match=r"No\."):
        await supervise(chosen(url, workers=2))
    assert_nothing_goes_on()


async def test_a_supervisor_that_is_cancelled_replaces_no_worker(url: str) -> None:
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(supervise(chosen(url), started=started.set_result))
    await started
    serving.cancel()
    await asyncio.wait([serving])
    assert serving.cancelled()
    assert_nothing_goes_on()


def assert_nothing_goes_on() -> None:
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert own_children() == set()


async def test_a_worker_that_hangs_is_killed_in_the_end(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "GRACE", 0.1)
    with capture_logs() as events:
        async with supervised(chosen(url, drain_timeout=0.1)):
            [hanging] = own_children()
            os.kill(hanging, signal.SIGSTOP)
    assert count(events, "worker killed") == 1
    assert is_gone(hanging)


def test_the_command_serves_with_workers_until_it_is_told_to_stop(
    engines: Engines, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def announce_and_stop(settings: Settings, address: str) -> None:
        announce(settings, address)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(supervisor, "announce", announce_and_stop)
    port = free_port()
    store = engines.get("postgresql").fresh()
    flags = ["--port", str(port), "--workers", "2", "--store", store, "--cache", "none://"]
    assert main(["serve", *flags]) == 0
    assert capsys.readouterr().out.endswith(f"on http://127.0.0.1:{port}\n")
