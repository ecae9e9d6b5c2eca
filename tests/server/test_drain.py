"""SIGTERM: the server responds to the requests that have arrived, then ends with 0."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from guidkeep.http.connection import protocol
from tests.server.processes import serving
from tests.server.wire import Connection, Lost, record, request, wired
from tests.support import served

if TYPE_CHECKING:
    from pathlib import Path


ENOUGH = 300
"""Responses before the server is stopped."""


class Load:
    """Clients that send requests until the server is gone, and the outcome of each request."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.answered = 0
        self.lost: list[str] = []
        self.written: dict[str, str] = {}
        self.enough = asyncio.Event()

    def count(self, status: int) -> None:
        assert status in (200, 201), status
        self.answered += 1
        if self.answered >= ENOUGH:
            self.enough.set()

    async def ask(self, connection: Connection, number: int, at: int) -> bool:
        """Does one read or write; returns False if the server will close this connection."""
        guid = f"{number:016X}{at % 7:016X}"
        if at % 3:
            user = f"{number} {at}"
            answer = await connection.ask("PUT", f"/guid/{guid}", record(user))
            self.written[guid] = user
        else:
            answer = await connection.ask("GET", "/livez")
        self.count(answer.status)
        return answer.headers.get("connection") != "close"

    async def keep_alive(self, number: int) -> None:
        """Sends requests on one connection without a pause, until the server announces its end."""
        connection = await Connection.to(self.address)
        try:
            at = 0
            while await self.ask(connection, number, at):
                at += 1
        except Lost as lost:
            self.lost.append(str(lost))
        finally:
            connection.close()

    async def connect_each_time(self, number: int) -> None:
        """Sends each request on a new connection, until none is accepted any more."""
        at = 0
        while True:
            try:
                connection = await Connection.to(self.address)
            except ConnectionError:
                return
            try:
                await self.ask(connection, number, at)
            except Lost as lost:
                self.lost.append(str(lost))
                return
            finally:
                connection.close()
            at += 1


async def check_written(load: Load, path: Path) -> None:
    with closing(sqlite3.connect(path)) as kept:
        users = {
            guid.hex().upper(): user.decode()
            for guid, user in kept.execute("SELECT guid, user FROM record")
        }
    assert users == load.written


@pytest.mark.parametrize("kind", ["keep_alive", "connect_each_time", "both"])
async def test_sigterm_under_load_drops_no_request(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "guidkeep.db"
    with serving(path) as server:
        load = Load(server.address)
        kinds = {"keep_alive": [load.keep_alive], "connect_each_time": [load.connect_each_time]}
        asking = kinds.get(kind, [load.keep_alive, load.connect_each_time])
        clients = [
            asyncio.ensure_future(ask(number * 2 + at))
            for number in range(8)
            for at, ask in enumerate(asking)
        ]
        await asyncio.wait(
            [asyncio.ensure_future(load.enough.wait()), *clients],
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert load.enough.is_set()
        server.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*clients)
        assert await asyncio.to_thread(server.process.wait, 30) == 0
    assert load.lost == []
    await check_written(load, path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_without_clients_ends_with_0(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path / "guidkeep.db") as server:
        server.process.send_signal(number)
        assert server.process.wait(timeout=30) == 0


def test_idle_connections_are_closed(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "guidkeep.db") as server,
        wired(server.address) as fresh,
        wired(server.address) as used,
    ):
        assert used.ask("GET", "/livez").status == 200
        assert server.stop() == 0
        assert fresh.is_closed()
        assert used.is_closed()


@pytest.fixture
def patient(brisk: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers of this process that stop read from idle connections for as long as a test needs."""
    monkeypatch.setattr(protocol, "DRAIN_GRACE", 1.0)


def test_what_a_client_sends_before_it_can_know_is_answered(
    patient: None, url: str, guid: str
) -> None:
    with (
        served(store=url) as server,
        wired(server.address) as asking,
        wired(server.address) as idle,
        wired(server.address) as half,
    ):
        assert idle.ask("POST", f"/guid/{guid}", record()).status == 201
        asked = request("PATCH", f"/guid/{guid}", record("Bob"))
        half.send(asked[:-5])
        server.stop()
        while asking.ask("GET", "/livez").headers.get("connection") != "close":
            pass
        answer = idle.ask("GET", f"/guid/{guid}")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        half.send(asked[-5:])
        assert half.answer().status == 200
        assert half.is_closed()


def test_a_request_that_has_begun_may_come_to_its_end(url: str, guid: str) -> None:
    """Long after the idle connections were closed."""
    asked = request("POST", f"/guid/{guid}", record())
    with (
        served(store=url) as server,
        wired(server.address) as idle,
        wired(server.address) as half,
    ):
        half.send(asked[:9])
        server.stop()
        assert idle.is_closed()
        half.send(asked[9:])
        answer = half.answer()
        assert (answer.status, answer.headers["connection"]) == (201, "close")
        assert half.is_closed()


def test_a_server_that_stops_is_not_ready(patient: None, url: str) -> None:
    with (
        served(store=url) as server,
        wired(server.address) as asking,
        wired(server.address) as idle,
    ):
        assert idle.ask("GET", "/readyz").status == 200
        server.stop()
        while asking.ask("GET", "/livez").headers.get("connection") != "close":
            pass
        answer = idle.ask("GET", "/readyz")
        assert answer.is_problem(503)
        assert answer.headers["connection"] == "close"
        assert "stopping" in answer.json["detail"]
        assert idle.is_closed()


def is_refused(address: str) -> bool:
    try:
        with wired(address) as wire:
            return wire.ask("GET", "/livez").status != 200
    except ConnectionError:
        return True


@pytest.mark.waits
def test_no_new_connection_is_accepted_while_it_drains(url: str, guid: str, tmp_path: Path) -> None:
    """A write that waits for a database held by another keeps the server from ending."""
    with (
        served(store=url, drain_timeout=20.0, store_timeout=20.0) as server,
        wired(server.address) as wire,
        closing(sqlite3.connect(tmp_path / "guidkeep.db", isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        wire.send(request("POST", f"/guid/{guid}", record()))
        server.stop()
        assert any(is_refused(server.address) for _ in range(10_000))
        other.execute("COMMIT")
        assert wire.answer().status == 201
        assert wire.is_closed()


def test_drain_timeout_bounds_a_request_that_is_stuck(tmp_path: Path) -> None:
    """One that never sends its body, and one that has not sent its head."""
    log = tmp_path / "log"
    with (
        serving(tmp_path / "guidkeep.db", "--drain-timeout", "100ms", log=log) as server,
        wired(server.address, timeout=30) as stuck,
        wired(server.address, timeout=30) as half,
    ):
        stuck.send(request("POST", "/guid", None, "Content-Length: 100"), b"{")
        half.send(b"GET /liv")
        assert server.stop() == 0
        for wire in (stuck, half):
            assert wire.answer().is_problem(503)
            assert wire.is_closed()
    assert "Traceback" not in log.read_text()


def test_a_write_that_is_stuck_in_the_store_is_given_up_with_a_sentence(
    url: str, guid: str, tmp_path: Path
) -> None:
    with (
        served(store=url, drain_timeout=0.1, store_timeout=2.0) as server,
        wired(server.address) as wire,
        closing(sqlite3.connect(tmp_path / "guidkeep.db", isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        wire.send(request("POST", f"/guid/{guid}", record()))
        server.stop()
        answer = wire.answer()
        assert answer.is_problem(503)
        assert "unknown" in answer.json["detail"]
        assert wire.is_closed()
        other.execute("ROLLBACK")


def test_where_the_kernel_can_not_be_told_it_stops_all_the_same(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with served(store=url) as server, wired(server.address) as wire:
        assert wire.ask("GET", "/livez").status == 200
        server.stop()
        assert wire.is_closed()


def test_a_second_signal_changes_nothing(tmp_path: Path) -> None:
    with serving(tmp_path / "guidkeep.db") as server, wired(server.address) as wire:
        wire.send(request("POST", "/guid", None, "Content-Length: 15"))
        for _ in range(3):
            server.process.send_signal(signal.SIGTERM)
        wire.send(record())
        assert wire.answer().status == 201
        assert server.process.wait(timeout=30) == 0
