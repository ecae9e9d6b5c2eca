"""Clients that are slow, vanish, do not read, or send too much; other clients are served."""

from __future__ import annotations

import re
import socket
import sqlite3
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

import pytest

from guidkeep.http.connection import protocol
from tests.server.processes import serving
from tests.server.wire import Wire, record, request, wired
from tests.support import served, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Clock

pytestmark = pytest.mark.waits

TRIES = 500


def connections(wire: Wire) -> int:
    """The number of connections, by the server's metrics."""
    figures = wire.ask("GET", "/metrics").body
    found = re.search(rb"^guidkeep_connections (\d+)", figures, re.MULTILINE)
    assert found
    return int(found[1])


@pytest.mark.parametrize(
    "begun",
    [b"G", b"GET /guid/", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Half: ", b"\r\n\r\nGET"],
)
def test_a_head_that_does_not_come_to_its_end_is_408(
    watchful: None, url: str, begun: bytes
) -> None:
    with served(store=url, request_timeout=0.2) as server, wired(server.address) as wire:
        wire.send(begun)
        assert wire.answer().is_problem(408)
        assert wire.is_closed()


@pytest.mark.parametrize(
    ("header", "part"),
    [("Content-Length: 100", b'{"user":'), ("Transfer-Encoding: chunked", b"5\r\n{}")],
)
def test_a_body_that_does_not_come_to_its_end_is_408_and_nothing_is_written(
    watchful: None, url: str, guid: str, header: str, part: bytes
) -> None:
    with served(store=url, request_timeout=0.2) as server, wired(server.address) as wire:
        wire.send(request("POST", f"/guid/{guid}", None, header), part)
        answer = wire.answer()
        assert answer.is_problem(408)
        assert "nothing was done" in answer.json["detail"]
        assert answer.headers["connection"] == "close"
        assert wire.is_closed()
        with wired(server.address) as other:
            assert other.ask("GET", f"/guid/{guid}").status == 404


def test_a_request_that_trickles_in_gets_no_more_time_than_another(
    watchful: None, url: str
) -> None:
    with served(store=url, request_timeout=0.3) as server, wired(server.address) as wire:
        wire.send(b"GET /livez HTTP/1.1\r\n")
        wire.socket.settimeout(0.02)
        heard = b""
        for _ in range(TRIES):
            try:
                heard = wire.socket.recv(65_536)
                break
            except TimeoutError:
                wire.send(b"x: y\r\n")
        assert heard.startswith(b"HTTP/1.1 408 ")


def test_a_second_request_that_does_not_arrive_is_no_answer_to_the_first(
    watchful: None, url: str, guid: str, tmp_path: Path
) -> None:
    """The first waits for the store all the while."""
    with (
        served(store=url, request_timeout=0.2, store_timeout=1.0) as server,
        wired(server.address) as wire,
        closing(sqlite3.connect(tmp_path / "guidkeep.db", isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        wire.send(request("POST", f"/guid/{guid}", record()), b"GET /livez HTT")
        assert not wire.rest().startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("before", [False, True], ids=["from the beginning", "after a request"])
def test_a_connection_that_is_not_used_is_closed_without_a_word(
    watchful: None, url: str, before: bool
) -> None:
    with served(store=url, idle_timeout=0.2) as server, wired(server.address) as wire:
        if before:
            assert wire.ask("GET", "/livez").status == 200
        assert wire.is_closed()


def test_a_connection_that_is_used_stays_open_beyond_its_idle_time(
    watchful: None, url: str, guid: str
) -> None:
    with (
        served(store=url, idle_timeout=0.3) as server,
        wired(server.address) as wire,
        wired(server.address) as idle,
    ):
        idle.socket.settimeout(0.01)
        wire.ask("POST", f"/guid/{guid}", record())
        for _ in range(TRIES):
            assert wire.ask("GET", f"/guid/{guid}").status == 200
            try:
                assert idle.socket.recv(1) == b""
                break
            except TimeoutError:
                pass
        else:
            pytest.fail("the idle one was not closed")


def test_a_client_that_leaves_in_its_body_leaves_nothing_behind(address: str, guid: str) -> None:
    with wired(address) as wire:
        before = connections(wire)
        with wired(address) as leaving:
            leaving.send(request("POST", f"/guid/{guid}", None, "Content-Length: 99"), b'{"user"')
        wait_until(lambda: connections(wire) == before)
        assert wire.ask("GET", f"/guid/{guid}").status == 404


def test_a_client_that_resets_its_connection_disturbs_nobody(address: str, guid: str) -> None:
    with wired(address) as wire:
        before = connections(wire)
        for _ in range(20):
            rude = Wire(address)
            rude.send(request("POST", f"/guid/{guid}", record()) * 3, b"GET /li")
            rude.reset()
        wait_until(lambda: connections(wire) == before)
        assert wire.ask("GET", "/livez").status == 200


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("PUT", 200), ("DELETE", 204)])
def test_a_client_that_has_said_all_hears_the_answer(
    address: str, guid: str, method: str, status: int
) -> None:
    """It shuts its half of the connection down, as `nc -N` does."""
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        wire.send(request(method, f"/guid/{guid}", record() if method == "PUT" else None))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.answer().status == status
        assert wire.is_closed()


@pytest.mark.parametrize("path", ["/guid/{guid}", "/guid/%39{rest}"])
def test_a_client_that_never_reads_is_cut_off(watch_clock: Clock, url: str, path: str) -> None:
    """Whether responses come from the cache at once, or from the application."""
    guid = "9" * 32
    path = path.format(guid=guid, rest=guid[1:])
    with (
        served(store=url, write_timeout=1.0) as server,
        wired(server.address) as other,
        wired(server.address, receive_buffer=4096) as wire,
    ):
        assert other.ask("PUT", f"/guid/{guid}", record("x" * 255, pad="x" * 60_000)).status == 201
        wire.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            wire.send(*[request("GET", path) * 100] * 10_000)
        assert connections(other) == 2
        watch_clock.advance(1.1)
        wait_until(lambda: connections(other) == 1)
        assert other.ask("GET", f"/guid/{guid}").status == 200


@pytest.mark.parametrize(
    "asked",
    [request("GET", "/nowhere"), request("POST", "/guid", b"{}"), request("GET", "/guid?limit=1")],
    ids=["an error", "a body", "a page"],
)
def test_a_pipeline_is_read_no_faster_than_it_is_answered(tmp_path: Path, asked: bytes) -> None:
    """The client sends as much as the server accepts, and reads nothing."""
    with (
        serving(tmp_path / "guidkeep.db", "--write-timeout", "60s") as server,
        wired(server.address) as other,
        wired(server.address, receive_buffer=4096, timeout=0.3) as wire,
    ):
        other.ask("POST", "/guid", record("x" * 200, pad="x" * 10_000))
        before = server.memory
        with suppress(TimeoutError):
            wire.send(*[asked * 1000] * 1000)
        grown = server.memory - before
        assert grown < 40 * 2**20, f"{grown / 2**20:.0f} MiB"
        assert other.ask("GET", "/livez").status == 200


def test_what_a_client_is_owed_that_never_reads_takes_little_memory(tmp_path: Path) -> None:
    """Twenty clients request 120 MB each."""
    guid = "9" * 32
    with (
        serving(tmp_path / "guidkeep.db") as server,
        wired(server.address) as other,
        ExitStack() as stack,
    ):
        other.ask("PUT", f"/guid/{guid}", record("x" * 255, pad="x" * 60_000))
        before = server.memory
        for _ in range(20):
            wire = stack.enter_context(wired(server.address, receive_buffer=4096))
            wire.socket.setblocking(False)
            wire.socket.send(request("GET", f"/guid/{guid}") * 2000)
        for _ in range(100):
            assert other.ask("GET", f"/guid/{guid}").status == 200
        grown = server.memory - before
        assert grown < 120 * 2**20, f"{grown / 20 / 2**20:.1f} MiB for each of them"


def test_a_client_that_is_refused_and_stays_is_cut_off(
    watchful: None, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a moment to read the reason, and no longer."""
    monkeypatch.setattr(protocol, "LINGER", 0.2)
    with (
        served(store=url) as server,
        wired(server.address) as other,
        wired(server.address) as wire,
    ):
        wire.send(b"\0 garbage")
        assert wire.answer().is_problem(400)
        assert wire.is_closed()
        wait_until(lambda: connections(other) == 1)
        with pytest.raises(ConnectionError):
            wire.send(*[b"more"] * 10_000)


def test_more_requests_than_allowed_are_refused_and_those_before_are_answered(
    url: str, guid: str, tmp_path: Path
) -> None:
    """Two writes wait for a database that is held; cache hits cost nothing and go on."""
    with (
        served(store=url, max_pending=2, store_timeout=30.0) as server,
        wired(server.address) as one,
        wired(server.address) as two,
        wired(server.address) as three,
        closing(sqlite3.connect(tmp_path / "guidkeep.db", isolation_level=None)) as other,
    ):
        three.ask("POST", f"/guid/{guid}", record())
        other.execute("BEGIN IMMEDIATE")
        for wire in (one, two):
            wire.send(request("POST", "/guid", record()))
        wait_until(lambda: three.ask("GET", "/openapi.json").status == 429)
        for path in ("/livez", "/readyz", "/metrics", "/stats/service"):  # what watches it asks
            assert three.ask("GET", path).status == 200
        answer = three.ask("POST", "/guid", record())
        assert answer.is_problem(429)
        assert answer.headers["retry-after"] == "1"
        assert "nothing was done" in answer.json["detail"]
        assert three.ask("GET", f"/guid/{guid}").status == 200
        other.execute("COMMIT")
        assert [one.answer().status, two.answer().status] == [201, 201]
        assert len(three.ask("GET", "/guid").json["guids"]) == 3
