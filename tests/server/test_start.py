"""Starting: the output of `guidkeep serve`, its refusals, and its cost."""

from __future__ import annotations

import gc
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from structlog.testing import capture_logs

from guidkeep import __version__
from guidkeep.caches.none import NoCache
from guidkeep.cli.main import main
from guidkeep.errors import StartupError
from guidkeep.registry.registry import Registry
from guidkeep.server import server, sockets
from guidkeep.server.server import _allow_descriptors, _warn_of_few_descriptors
from guidkeep.settings import Settings
from servers.nodes import ENVIRONMENT
from servers.processes import free_port
from tests.server.processes import GUIDKEEP, serving
from tests.server.wire import record, wired
from tests.support import served

if TYPE_CHECKING:
    from collections.abc import Iterator

MEGABYTE = 1_000_000


@pytest.fixture
def taken_port() -> Iterator[int]:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def refused(*arguments: str) -> str:
    """Returns the message with which the command refuses to start."""
    ended = subprocess.run(
        [*GUIDKEEP, "serve", *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("guidkeep: ")
    assert ended.stderr.count("\n") == 1
    return ended.stderr


def test_the_address_is_printed_when_it_accepts_requests(tmp_path: Path) -> None:
    store = tmp_path / "guidkeep.db"
    with serving(store) as server:
        assert server.line == f"Guidkeep {__version__} serves sqlite:///{store} on {server.address}"
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d+", server.address)
        with wired(server.address) as wire:
            answer = wire.ask("GET", "/livez")
            assert answer.status == 200
            assert "date" in answer.headers
            assert wire.ask("POST", "/guid", record()).status == 201


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
def test_an_idle_server_takes_less_than_80_mb(tmp_path: Path) -> None:
    with serving(tmp_path / "guidkeep.db") as server, wired(server.address) as wire:
        assert wire.ask("POST", "/guid", record()).status == 201
        assert wire.ask("GET", "/openapi.json").status == 200
        assert server.memory < 80 * MEGABYTE, f"{server.memory / MEGABYTE:.0f} MB"


def test_a_port_that_is_taken_is_refused_with_a_sentence(tmp_path: Path, taken_port: int) -> None:
    store = f"sqlite:///{tmp_path / 'guidkeep.db'}"
    assert refused("--port", str(taken_port), "--store", store) == (
        f"guidkeep: Can't listen on 127.0.0.1:{taken_port}: Address already in use. "
        "--port 0 takes a free port.\n"
    )
    assert list(tmp_path.iterdir()) == [], "the store was not touched"


def test_a_port_that_another_listens_on_first_is_refused_with_the_same_sentence() -> None:
    settings = Settings(port=free_port())
    with (
        closing(sockets.bind(settings)) as first,
        closing(sockets.bind(settings)) as second,
    ):
        sockets.listen(settings, first)
        with pytest.raises(StartupError, match="Address already in use"):
            sockets.listen(settings, second)


def test_a_store_that_is_served_is_refused_with_a_sentence(tmp_path: Path) -> None:
    store = tmp_path / "guidkeep.db"
    with serving(store) as server:
        said = refused("--port", "0", "--store", f"sqlite:///{store}")
        assert "Another process serves the store" in said
        with wired(server.address) as wire:
            assert wire.ask("GET", "/readyz").status == 200


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"host": "no.such.host.invalid"}, "Can't listen on no.such.host.invalid"),
        ({"host": "192.0.2.1"}, r"Can't listen on 192\.0\.2\.1:0: .*assign"),
        ({"port": 1, "host": "192.0.2.1"}, "Can't listen on"),
        ({"store": "oracle://x"}, "there are sqlite"),
        ({"cache": "memcached://x"}, "No cache is named"),
        ({"cache": "memory://?size=1"}, "unknown parameter: size"),
        ({"cache": "memory://?max_size=much"}, "'much' is not a size"),
        ({"cache": "none://?max_size=1"}, "unknown parameter: max_size"),
        ({"metadata_schema": Path("/nowhere.json")}, "Can't read the metadata schema"),
    ],
)
def test_what_can_not_be_served_is_refused_with_a_sentence(
    url: str, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(StartupError, match=said), served(**{"store": url, **settings}):
        pass


@pytest.mark.parametrize("password", ["s3cret℀", "[s3cret", "s3cret"])
@pytest.mark.parametrize(
    ("flag", "url"),
    [
        ("--store", "sqlite://ann:{}@h/x"),
        ("--store", "mysql://ann:{}@127.0.0.1:1/?x=1"),
        ("--store", "postgresql://ann:{}@127.0.0.1:1/?x=1"),
        ("--store", "mongodb://ann:{}@127.0.0.1:1/?x=1"),
        ("--store", "oracle://ann:{}@h"),
        ("--cache", "redis://ann:{}@h/?x=1"),
        ("--cache", "redis+cluster://ann:{}@h,i/?x=1"),
        ("--cache", "memory://ann:{}@h?x=1"),
        ("--cache", "none://ann:{}@h?x=1"),
        ("--cache", "memcached://ann:{}@h"),
    ],
)
def test_a_url_is_refused_without_its_password_whatever_is_in_that(
    unchanged_process: None,
    tmp_path: Path,
    flag: str,
    url: str,
    password: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = ["--store", f"sqlite:///{tmp_path / 'x.db'}"]
    assert main(["serve", "--port", "0", *store, flag, url.format(password)]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("guidkeep: ")
    assert "s3cret" not in said.out + said.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ('"text"', "must be a JSON object"),
        ('{"type": "nothing"}', "not a valid one"),
        ('{"$schema": "http://json-schema.org/draft-07/schema#"}', "dialect"),
    ],
)
def test_a_metadata_schema_that_is_none_is_refused_with_a_sentence(
    url: str, tmp_path: Path, content: str, said: str
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(content)
    with pytest.raises(StartupError, match=said), served(store=url, metadata_schema=schema):
        pass


def test_a_metadata_schema_of_the_operators_own_is_used(url: str, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"required": ["n"]}')
    with (
        served(store=url, metadata_schema=schema) as server,
        wired(server.address) as wire,
    ):
        assert wire.ask("POST", "/guid", b'{"n": 1}').status == 201
        assert wire.ask("POST", "/guid", record()).is_problem(400)


@pytest.mark.parametrize(("place", "name"), [(server, "open_store"), (Registry, "close")])
def test_what_was_opened_is_closed_whatever_fails(
    url: str, monkeypatch: pytest.MonkeyPatch, place: object, name: str
) -> None:
    closed = []

    class Noted(NoCache):
        async def close(self) -> None:
            closed.append(self)

    async def fail(*_: object, **__: object) -> NoReturn:
        raise StartupError("No.")

    with monkeypatch.context() as patch:
        patch.setattr(server, "open_cache", lambda *_, **__: Noted())
        patch.setattr(place, name, fail)
        with pytest.raises(StartupError, match=r"No\."), served(store=url):
            pass
    assert len(closed) == 1
    with served(store=url):  # its file is not locked any more
        pass


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_it_listens_on_ipv6_too(url: str) -> None:
    with served(store=url, host="::1") as server:
        assert re.fullmatch(r"http://\[::1\]:\d+", server.address)


def test_a_port_that_is_taken_between_binding_and_listening_is_refused_with_a_sentence(
    tmp_path: Path,
) -> None:
    """Two servers that start at once may both bind; only one may listen."""
    port = free_port()
    schema = tmp_path / "schema.json"
    os.mkfifo(schema)  # holds the start up until it is written
    failures: list[BaseException] = []

    def start() -> None:
        try:
            with served(
                store=f"sqlite:///{tmp_path / 'guidkeep.db'}",
                port=port,
                metadata_schema=schema,
            ):
                pass
        except BaseException as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    with schema.open("w") as fifo, closing(socket.socket()) as other:  # it has bound by now
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        fifo.write("{}")
        fifo.close()
        starting.join(timeout=30)
    assert [type(failure) for failure in failures] == [StartupError]


@pytest.fixture
def unchanged_process() -> Iterator[None]:
    """Restores what `run` changes for good: the collector, the switch interval, the limit."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def stop_when_it_serves(port: int, number: signal.Signals) -> None:
    """Waits until the server on that port responds, then sends the signal to this process."""
    for _ in range(1_000_000):
        try:
            with wired(f"http://127.0.0.1:{port}") as wire:
                assert wire.ask("GET", "/livez").status == 200
            break
        except ConnectionRefusedError:
            pass
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_stop_and_returns_0(
    unchanged_process: None,
    url: str,
    number: signal.Signals,
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    handlers = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
    stopping = threading.Thread(target=stop_when_it_serves, args=(port, number))
    stopping.start()
    assert main(["serve", "--port", str(port), "--store", url]) == 0
    stopping.join()
    assert capsys.readouterr().out.endswith(f"on http://127.0.0.1:{port}\n")
    assert [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)] == handlers


def test_a_crash_is_an_event_of_the_log_like_any_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.setattr(server, "run", dict[str, None]().__getitem__)
    monkeypatch.setenv("GUIDKEEP_PORTT", "1")
    assert main(["serve", "--store", url, "--log-format", "json"]) == 1
    first, told = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["event"], first["nearest"]) == ("unknown variable", "GUIDKEEP_PORT")
    assert (told["event"], told["level"]) == ("crashed", "error")
    assert told["exception"][0]["exc_type"] in ("KeyError", "TypeError")


@pytest.mark.parametrize(
    "command",
    [[sys.executable, "-m", "guidkeep"], [str(Path(sys.executable).with_name("guidkeep"))]],
    ids=["python -m", "installed"],
)
def test_the_command_says_its_version(command: list[str]) -> None:
    said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"guidkeep {__version__}\n"


def test_the_limit_of_descriptors_is_raised_to_what_is_needed_as_far_as_it_may_be(
    unchanged_process: None,
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 512
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    for wanted, expected in [(few - 1, few), (few + 1, few + 1), (hard + 1, hard)]:
        _allow_descriptors(wanted)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (expected, hard)


def test_more_connections_than_descriptors_are_warned_of() -> None:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    with capture_logs() as logs:
        _warn_of_few_descriptors(Settings(max_connections=most + 1))
    assert [(log["event"], log["asked"]) for log in logs] == [
        ("fewer connections than asked for", most + 1)
    ]
