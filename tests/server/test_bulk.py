"""Bulk requests and responses of any length: order of reading, lost and slow clients."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from select import select
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import StoreUnavailable
from guidkeep.http import spool
from guidkeep.http.connection import protocol
from guidkeep.http.handlers import bulk, export
from guidkeep.registry.registry import Registry
from tests.server.test_rude_clients import connections
from tests.server.wire import Wire, record, request, wired
from tests.support import served, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guidkeep.server.server import Running
    from tests.support import Clock

LINE = record() + b"\n"
HEAD = request("POST", "/bulk", None, "Transfer-Encoding: chunked")
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Reading:
    """Reads a response from a connection, chunk by chunk."""

    def __init__(self, wire: Wire) -> None:
        self._file = wire.socket.makefile("rb")
        self.status = 0

    def head(self) -> int:
        status = int(self._file.readline().split()[1])
        while self._file.readline().strip():
            pass
        return status

    def piece(self) -> bytes:
        """The next chunk; empty at the end of the response."""
        size = int(self._file.readline(), 16)
        data = self._file.read(size)
        assert self._file.read(2) == b"\r\n"
        return data

    def lines(self) -> list[dict[str, Any]]:
        """The rest of the response."""
        data = b""
        while piece := self.piece():
            data += piece
        return [json.loads(line) for line in data.splitlines()]

    def is_closed(self) -> bool:
        with self._file:  # else the socket stays open
            return self._file.read(1) == b""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "TICK", 0.05)
    monkeypatch.setattr(spool, "TICK", 0.05)


@pytest.fixture
def wire(address: str) -> Iterator[Wire]:
    with wired(address) as wire:
        yield wire


def test_a_fault_in_the_request_adds_nothing_to_an_answer_that_has_begun(wire: Wire) -> None:
    wire.send(HEAD, chunk(LINE))
    reading = Reading(wire)
    assert reading.head() == 200
    assert json.loads(reading.piece())["status"] == 201
    wire.send(b"no size\r\n")
    assert reading.is_closed()


def test_lines_are_answered_while_the_request_is_still_sent(wire: Wire) -> None:
    reading = Reading(wire)
    wire.send(HEAD)
    for number in range(1, 4):
        wire.send(chunk(LINE))
        if number == 1:
            assert reading.head() == 200
        answer = json.loads(reading.piece())
        assert (answer["line"], answer["status"]) == (number, 201)
    wire.send(chunk(LINE.rstrip()), END)
    assert [answer["line"] for answer in reading.lines()] == [4]
    assert wire.ask("GET", "/livez").status == 200


def test_the_answer_to_a_request_of_known_length_begins_when_the_whole_of_it_is_there(
    wire: Wire, address: str, guid: str
) -> None:
    """Proxies that have forwarded the response's head may forward no more of the request."""
    lines = record(guid=guid) + b"\n" + LINE
    wire.send(request("POST", "/bulk", None, f"Content-Length: {len(lines)}"), lines[:-5])
    with wired(address) as other:
        wait_until(lambda: other.ask("GET", f"/guid/{guid}").status == 200)
        wire.socket.settimeout(0)
        with pytest.raises(BlockingIOError):
            wire.socket.recv(1)
    wire.socket.settimeout(5)
    wire.send(lines[-5:])
    reading = Reading(wire)
    assert reading.head() == 200
    assert [answer["status"] for answer in reading.lines()] == [201, 201]


def test_or_when_no_more_answers_can_be_held(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "HELD", 20_000)
    monkeypatch.setattr(spool, "IN_MEMORY", 10_000)
    count = 1_000
    with served(store=url) as server, wired(server.address) as wire:
        wire.send(request("POST", "/bulk", None, f"Content-Length: {count * 9 + len(LINE)}"))
        wire.send(b"nonsense\n" * count)
        reading = Reading(wire)
        assert reading.head() == 200
        wire.send(LINE)
        assert [answer["line"] for answer in reading.lines()] == list(range(1, count + 2))


def test_a_client_may_wait_for_leave_to_send(wire: Wire) -> None:
    wire.send(
        request("POST", "/bulk", None, f"Content-Length: {len(LINE)}", "Expect: 100-continue")
    )
    assert wire.answer().status == 100
    wire.send(LINE)
    reading = Reading(wire)
    assert reading.head() == 200
    assert [answer["status"] for answer in reading.lines()] == [201]


def test_chunks_of_one_byte_are_read_however_many(url: str) -> None:
    lines = LINE * 400
    with (
        served(store=url, max_body=1000, max_headers=1000) as server,
        wired(server.address) as wire,
    ):
        wire.send(HEAD, b"".join(chunk(lines[at : at + 1]) for at in range(len(lines))), END)
        reading = Reading(wire)
        assert reading.head() == 200
        assert {answer["status"] for answer in reading.lines()} == {201}


def test_a_client_may_send_everything_before_it_reads(
    watch_clock: Clock, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends for three times as long as it may leave responses unread, more than buffers hold."""
    monkeypatch.setattr(spool, "IN_MEMORY", 10_000)
    survived = set()  # the times of checks of a connection with unread responses
    look_at = protocol.GuidkeepProtocol.look

    def look(connection: protocol.GuidkeepProtocol, now: float) -> None:
        look_at(connection, now)
        if connection.stalled_since is not None and not connection.transport.is_closing():
            survived.add(now)

    monkeypatch.setattr(protocol.GuidkeepProtocol, "look", look)
    with (
        served(store=url, write_timeout=1.0) as server,
        wired(server.address, timeout=20, receive_buffer=1 << 18) as wire,
    ):
        sent = 30_000
        wire.send(HEAD, chunk(b"nonsense\n" * sent))
        for _ in range(3):
            watch_clock.advance(1.1)
            wait_until(lambda: watch_clock() in survived)
        wire.send(chunk(LINE), END)
        reading = Reading(wire)
        assert reading.head() == 200
        answers = reading.lines()
    assert [answer["line"] for answer in answers] == list(range(1, sent + 2))
    assert [answer["status"] for answer in answers] == [400] * sent + [201]


@pytest.mark.waits
def test_a_client_that_never_reads_is_cut_off_when_there_is_no_room_for_its_answers(
    watch_clock: Clock, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "HELD", 100_000)
    monkeypatch.setattr(spool, "IN_MEMORY", 10_000)
    with (
        served(store=url, write_timeout=1.0) as server,
        wired(server.address) as other,
        wired(server.address, timeout=3, receive_buffer=4096) as wire,
    ):
        wire.send(HEAD)
        with pytest.raises(TimeoutError):
            wire.send(*[chunk(b"nonsense" * 8 + b"\n") * 1000] * 10_000)
        assert connections(other) == 2
        watch_clock.advance(1.1)
        wait_until(lambda: connections(other) == 1)
        assert other.ask("POST", "/guid", record()).status == 201


@pytest.mark.waits
def test_a_line_that_does_not_come_is_a_408_and_ends_the_answer(url: str, guid: str) -> None:
    with served(store=url, request_timeout=0.3) as server, wired(server.address) as wire:
        wire.send(HEAD, chunk(LINE + record(guid=guid)))  # the second does not end
        reading = Reading(wire)
        assert reading.head() == 200
        first, last = reading.lines()
        assert (first["status"], last["status"], last["line"]) == (201, 408, 2)
        assert reading.is_closed()
        with wired(server.address) as other:
            assert other.ask("GET", f"/guid/{guid}").status == 404


@pytest.mark.waits
def test_a_request_may_last_as_long_as_lines_come(watchful: None, url: str) -> None:
    with served(store=url, request_timeout=2.0) as server, wired(server.address) as wire:
        reading = begun(server, wire)
        for _ in range(3):
            assert select([wire.socket], [], [], 0.8) == ([], [], [])
            wire.send(chunk(LINE))
            assert json.loads(reading.piece())["status"] == 201
        wire.send(END)
        assert reading.lines() == []


def test_a_server_that_stops_says_which_line_it_did_not_take(url: str) -> None:
    with served(store=url) as server, wired(server.address) as wire:
        reading = begun(server, wire)
        server.stop()
        [last] = reading.lines()
        assert (last["status"], last["line"]) == (503, 2)
        assert last["problem"]["type"].endswith("stopping")
        assert reading.is_closed()


def begun(server: Running, wire: Wire) -> Reading:
    """A request with one line, whose response has arrived."""
    reading = Reading(wire)
    wire.send(HEAD, chunk(LINE))
    assert reading.head() == 200
    assert json.loads(reading.piece())["status"] == 201
    return reading


def test_what_a_client_that_left_had_not_ended_is_not_done(address: str, guid: str) -> None:
    with wired(address) as other:
        before = connections(other)
        with wired(address) as leaving:
            leaving.send(HEAD, chunk(LINE + record(guid=guid)))
            Reading(leaving).head()
        wait_until(lambda: connections(other) == before)
        assert other.ask("GET", f"/guid/{guid}").status == 404


def test_few_requests_at_once_slow_the_lines_down_and_refuse_none(url: str) -> None:
    with served(store=url, max_pending=3) as server, wired(server.address) as wire:
        lines = LINE * 200
        wire.send(request("POST", "/bulk", lines))
        reading = Reading(wire)
        assert reading.head() == 200
        assert [answer["status"] for answer in reading.lines()] == [201] * 200


def test_http_1_0_gets_no_chunks(address: str) -> None:
    with wired(address) as wire:
        head = b"POST /bulk HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % (3 * len(LINE))
        wire.send(head, LINE * 3)
        head, _, lines = wire.rest().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert [json.loads(line)["line"] for line in lines.splitlines()] == [1, 2, 3]
    with wired(address) as wire:
        wire.send(b"GET /export HTTP/1.0\r\n\r\n")
        head, _, lines = wire.rest().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert all(json.loads(line)["guid"] for line in lines.splitlines())


def many(wire: Wire) -> None:
    """Creates more records than fit into any buffer."""
    lines = b"".join(record(pad="x" * 60_000) + b"\n" for _ in range(300))
    wire.send(request("POST", "/bulk", lines))
    reading = Reading(wire)
    assert reading.head() == 200
    assert len(reading.lines()) == 300


def test_an_export_that_nobody_reads_is_cut_off(watch_clock: Clock, url: str) -> None:
    with (
        served(store=url, write_timeout=1.0) as server,
        wired(server.address) as other,
        wired(server.address, receive_buffer=4096) as wire,
    ):
        many(other)
        wire.send(request("GET", "/export"))
        assert Reading(wire).head() == 200
        assert connections(other) == 2

        def is_cut_off() -> bool:
            watch_clock.advance(1.1)  # again, if it had not stalled yet
            return connections(other) == 1

        wait_until(is_cut_off)


def test_an_export_whose_reader_leaves_is_given_up(url: str) -> None:
    with (
        served(store=url, write_timeout=60.0) as server,
        wired(server.address) as other,
        wired(server.address, receive_buffer=4096) as wire,
    ):
        many(other)
        wire.send(request("GET", "/export"))
        assert Reading(wire).head() == 200
        wire.reset()
        wait_until(lambda: connections(other) == 1)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_export_that_the_store_can_not_finish_is_cut_off_in_the_middle(
    url: str, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(export, "PAGE", 1)
    plain, asked = Registry.list, 0

    async def failing(self: Registry, query: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise StoreUnavailable("Closed.")
        return await plain(self, query)

    with served(store=url) as server, wired(server.address) as wire:
        for _ in range(2):
            wire.ask("POST", "/guid", record())
        monkeypatch.setattr(Registry, "list", failing)
        wire.send(request("GET", "/export").replace(b"1.1", version.encode()))
        if version == "1.0":
            with pytest.raises(ConnectionResetError), wire.socket.makefile("rb") as answer:
                answer.read()
            return
        reading = Reading(wire)
        assert reading.head() == 200
        assert reading.piece().endswith(b"}\n")
        assert reading.is_closed()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(("page", "fails"), [(1, False), (2, False), (2, True)])
def test_a_reader_that_leaves_while_a_page_is_read_is_no_error(
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    version: str,
    page: int,
    fails: bool,
) -> None:
    monkeypatch.setattr(export, "PAGE", 1)
    asked, gate = threading.Event(), threading.Event()
    plain, pages = Registry.list, 0

    async def slow(self: Registry, query: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == page:
            asked.set()
            await asyncio.to_thread(gate.wait)
            if fails:
                raise StoreUnavailable("Closed.")
        return await plain(self, query)

    with capture_logs() as logs, served(store=url) as server, wired(server.address) as other:
        for _ in range(2):
            other.ask("POST", "/guid", record())
        monkeypatch.setattr(Registry, "list", slow)
        leaving = Wire(server.address)
        leaving.send(request("GET", "/export").replace(b"1.1", version.encode()))
        assert asked.wait(10)
        leaving.reset()
        wait_until(lambda: connections(other) == 1)
        gate.set()
    assert [entry for entry in logs if entry["log_level"] == "error"] == []
    assert [entry for entry in caplog.records if entry.levelno >= logging.ERROR] == []
