"""SIGTERM and SIGINT end a server with 0 at any time; SIGHUP never ends one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from servers.nodes import ENVIRONMENT
from servers.processes import free_port
from tests.server.processes import GUIDKEEP, serving
from tests.server.wire import record, wired
from tests.support import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_0_while_it_reads_its_schema(
    tmp_path: Path, is_pid_1: bool, number: signal.Signals
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", ["mysql", "postgresql", "mongodb"])
def test_it_ends_with_0_while_it_waits_for_its_database(
    tmp_path: Path, is_pid_1: bool, kind: str, workers: int, number: signal.Signals
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
            connection, _ = silent.accept()  # it waits for an answer now
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
        wait_until(lambda: "waiting for postgresql" in log.read_text())
        os.kill(pid, signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert events(log) == {"waiting for postgresql", "stopped"}


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


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def events(log: Path) -> set[str]:
    return {line["event"] for line in lines(log)}
