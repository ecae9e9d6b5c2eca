"""Some signals end a server with 0 at any time; all others that would end a process never do."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.server import server
from guidkeep.server.signals import IGNORED, STOPPING
from guidkeep.server.stopping import Stop, before_the_loop, held
from guidkeep.settings import Settings
from servers.nodes import ENVIRONMENT
from servers.processes import free_port
from tests.engines import SINGLE
from tests.server.processes import GUIDKEEP, serving
from tests.server.wire import record, wired
from tests.support import PATIENCE, iterations, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guidkeep.server.server import Running
    from tests.engines import Engines


def may_have_pids_of_its_own() -> bool:
    command = shutil.which("unshare")
    return (
        command is not None
        and not subprocess.run(
            [command, "--pid", "--fork", "true"], check=False, capture_output=True
        ).returncode
    )


AS_PID_1 = ("unshare", "--pid", "--fork", "--kill-child")


@contextmanager
def starting(
    *flags: str, log: Path, is_pid_1: bool
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server that starts, and its process id."""
    command = [*(AS_PID_1 if is_pid_1 else ()), *GUIDKEEP, "serve", "--port", "0", *flags]
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=stderr, env=dict(ENVIRONMENT)
        ) as process,
    ):
        try:
            if is_pid_1:
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                wait_until(children.read_text)
                yield process, int(children.read_text())
            else:
                yield process, process.pid
        finally:
            process.kill()


@pytest.fixture(params=[False, True], ids=["a process", "PID 1"])
def is_pid_1(request: pytest.FixtureRequest) -> bool:
    if request.param and not may_have_pids_of_its_own():
        pytest.skip("needs the right to make a PID namespace")
    return bool(request.param)


@pytest.mark.parametrize("number", STOPPING)
def test_it_ends_with_0_while_it_reads_its_schema(
    tmp_path: Path, is_pid_1: bool, number: int
) -> None:
    schema, log = tmp_path / "schema.json", tmp_path / "log"
    os.mkfifo(schema)
    flags = ("--metadata-schema", str(schema))
    with (
        starting(*flags, log=log, is_pid_1=is_pid_1) as (process, pid),
        schema.open("w"),  # it is opened once it is read
    ):
        os.kill(pid, number)
        assert process.wait(PATIENCE) == 0
    assert log.read_text() == ""


@pytest.mark.parametrize(
    ("kind", "workers", "number"),
    [
        *((kind, 1, signal.SIGTERM) for kind in SINGLE),
        (SINGLE[0], 1, signal.SIGINT),
        *((SINGLE[0], 2, number) for number in (signal.SIGTERM, signal.SIGINT)),
    ],
)
def test_it_ends_with_0_while_it_waits_for_its_database(
    tmp_path: Path, is_pid_1: bool, kind: str, workers: int, number: int
) -> None:
    log = tmp_path / "log"
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(PATIENCE)
        url = f"{kind}://ann:s3cret@127.0.0.1:{silent.getsockname()[1]}/x"
        flags = ("--store", url, "--cache", "none://", "--workers", str(workers))
        with starting(*flags, "--store-timeout", "60s", log=log, is_pid_1=is_pid_1) as (
            process,
            pid,
        ):
            connection, _ = silent.accept()  # it waits for a response now
            os.kill(pid, signal.SIGHUP)
            os.kill(pid, number)
            assert process.wait(PATIENCE) == 0
            connection.close()
    assert events(log) <= {"nothing to reload", "stopping", "stopped"}
    assert "stopped" in events(log)


def test_it_ends_with_0_while_its_database_is_away(tmp_path: Path) -> None:
    log = tmp_path / "log"
    flags = ("--store", f"postgresql://127.0.0.1:{free_port()}/x")
    with starting(*flags, log=log, is_pid_1=False) as (process, pid):
        wait_until(lambda: "waiting for the store" in log.read_text())
        os.kill(pid, signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert events(log) == {"store unreachable", "waiting for the store", "stopped"}


def test_sighup_ends_no_server(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(tmp_path / "a.db", log=log) as server, wired(server.address) as wire:
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "nothing to reload" in log.read_text())
        assert wire.ask("POST", "/guid", record()).status == 201
        assert server.stop() == 0


def test_sighup_is_passed_on_to_all_workers(engines: Engines, tmp_path: Path) -> None:
    log = tmp_path / "log"
    url = engines.get("postgresql").fresh()
    flags = ("--workers", "2", "--cache", "none://", "--log-format", "json")
    with serving(url, *flags, log=log) as server:
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: log.read_text().count("nothing to reload") == 2)
        with wired(server.address) as wire:
            assert wire.ask("POST", "/guid", record()).status == 201
        assert server.stop() == 0
    told = [line for line in lines(log) if line["event"] == "nothing to reload"]
    assert {line["worker"] for line in told} == {0, 1}


def test_a_signal_that_would_end_a_process_and_is_not_meant_to_stop_it_ends_no_server(
    tmp_path: Path,
) -> None:
    """SIGUSR1 may come from a supervisor, SIGALRM by mistake; both would cut off requests."""
    log = tmp_path / "log"
    assert {signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF} <= {
        *IGNORED
    }
    flags = ("--log-format", "json")
    with serving(tmp_path / "a.db", *flags, log=log) as server, wired(server.address) as wire:
        for number in IGNORED:
            server.process.send_signal(number)
        wait_until(lambda: log.read_text().count("signal ignored") == len(IGNORED))
        assert wire.ask("POST", "/guid", record()).status == 201
        assert server.stop() == 0
    assert {line["number"] for line in lines(log) if "ignored" in line["event"]} == {*IGNORED}


def test_nor_one_that_has_not_begun_to_serve(tmp_path: Path, is_pid_1: bool) -> None:
    schema, log = tmp_path / "schema.json", tmp_path / "log"
    os.mkfifo(schema)
    flags = ("--metadata-schema", str(schema), "--store", f"sqlite:///{tmp_path}/a.db")
    with starting(*flags, log=log, is_pid_1=is_pid_1) as (process, pid):
        with schema.open("w") as read:  # it is opened once it is read
            for number in IGNORED:
                os.kill(pid, number)
            read.write("{}")
        os.kill(pid, signal.SIGQUIT)
        assert process.wait(PATIENCE) == 0


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def events(log: Path) -> set[str]:
    return {line["event"] for line in lines(log)}


# In this process.


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", STOPPING)
def test_before_the_loop_runs_a_server_ends_on_the_spot(number: int) -> None:
    before = [signal.getsignal(one) for one in (*STOPPING, signal.SIGHUP, *IGNORED)]
    with before_the_loop():
        for other in (signal.SIGHUP, *IGNORED):
            send(other)
    with pytest.raises(SystemExit) as ended, before_the_loop():
        send(number)
    assert ended.value.code == 0
    assert [signal.getsignal(one) for one in (*STOPPING, signal.SIGHUP, *IGNORED)] == before


@pytest.mark.parametrize("number", STOPPING)
async def test_a_start_that_waits_is_abandoned(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(server, "CANCEL_AGAIN", 0.0)  # as of a driver that loses a cancellation
    loop = asyncio.get_running_loop()
    with closing(socket.socket()) as silent:
        silent.setblocking(False)
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x"
        started: list[Running] = []
        settings = Settings(port=0, store=url, store_timeout=PATIENCE)
        serving = asyncio.ensure_future(server.serve(settings, started=started.append))
        connection, _ = await loop.sock_accept(silent)
        send(signal.SIGHUP)
        send(signal.SIGUSR1)
        send(number)
        await serving
        connection.close()
    await iterations()
    assert started == []


async def test_what_should_have_stopped_before_it_began_stops_at_once() -> None:
    stopped: list[str] = []
    stop = Stop(lambda: stopped.append("start"))
    stop.lead_to(lambda: stopped.append("serve"))
    assert stopped == []
    stop()
    stop.lead_to(lambda: stopped.append("end"))
    assert stopped == ["serve", "end"]


def test_a_process_that_is_started_gets_no_sighup_until_it_handles_it() -> None:
    code = "import signal; print(signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    with held():
        started = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert started.stdout == b"True\n"
    assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
