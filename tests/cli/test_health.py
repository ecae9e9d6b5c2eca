"""`guidkeep health`, the container's health check."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from guidkeep.cli import exits, health
from servers.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guidkeep.server.server import Running
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch


@contextmanager
def answering(answer: bytes, address: str = "127.0.0.1") -> Iterator[int]:
    """Runs a server that sends those bytes to every request; yields its port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with closing(connection):
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("host", [None, "0.0.0.0", "localhost"])  # noqa: S104 - the setting
def test_a_server_that_lives_is_found_where_the_settings_of_serve_say(
    run: Run, running: Running, monkeypatch: Patch, capsys: Capture, host: str | None
) -> None:
    port = running.address.rpartition(":")[2]
    monkeypatch.setenv("GUIDKEEP_PORT", port)
    if host is not None:
        monkeypatch.setenv("GUIDKEEP_HOST", host)
    assert run("health") == 0
    monkeypatch.setenv("GUIDKEEP_PORT", "1")
    assert run("health", "--port", port) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("host", ["::", "::1"])
def test_a_server_on_ipv6_is_found(run: Run, host: str) -> None:
    try:
        with answering(WELL, "::1") as port:
            assert run("health", "--host", host, "--port", port) == 0
    except OSError:
        pytest.skip("this machine has no IPv6")


def test_no_proxy_of_the_environment_is_asked(running: Running) -> None:
    """Runs as a process, with every variable for proxies."""
    proxy = f"http://127.0.0.1:{free_port()}"
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    environment = dict(os.environ) | dict.fromkeys(names, proxy)
    environment |= {"GUIDKEEP_PORT": running.address.rpartition(":")[2], "no_proxy": ""}
    command = [sys.executable, "-m", "guidkeep", "health"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_nobody_there_is_no_health(run: Run, capsys: Capture) -> None:
    port = free_port()
    assert run("health", "--port", port) == exits.UNAVAILABLE
    said = capsys.readouterr().err
    assert said == (
        f"guidkeep: The server at 127.0.0.1, port {port}, can't be reached: Connection refused.\n"
    )


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", "responds with 429"),
        (b"220 mail.example.com ESMTP\r\n", "does not speak HTTP"),
    ],
)
def test_an_answer_that_is_no_health_is_told(
    run: Run, capsys: Capture, answer: bytes, fault: str
) -> None:
    with answering(answer) as port:
        assert run("health", "--port", port) == exits.UNAVAILABLE
    assert capsys.readouterr().err.endswith(f", {fault}.\n")


def test_a_server_that_does_not_answer_is_told(
    run: Run, capsys: Capture, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert run("health", "--port", port) == exits.UNAVAILABLE
    assert capsys.readouterr().err.endswith(", can't be reached: timed out.\n")


def test_a_variable_that_a_platform_injects_is_no_port(run: Run, monkeypatch: Patch) -> None:
    """The port is then the default; another server may be listening there."""
    monkeypatch.setenv("GUIDKEEP_PORT", "tcp://10.96.12.5:8080")
    assert run("health") in {0, exits.UNAVAILABLE}


@pytest.mark.parametrize("port", ["0", "http"])
def test_a_port_that_is_none_is_refused(run: Run, capsys: Capture, port: str) -> None:
    assert run("health", "--port", port) == exits.USAGE
    assert "port" in capsys.readouterr().err


def test_asking_loads_only_what_it_takes() -> None:
    """It runs every few seconds, also on small machines."""
    command = [sys.executable, "-X", "importtime", "-m", "guidkeep", "health", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == exits.USAGE
    for module in (
        "httpx2",
        "uvicorn",
        "jsonschema_rs",
        "structlog",
        "rich",
        "asyncio",
    ):
        assert f" {module}\n" not in done.stderr
