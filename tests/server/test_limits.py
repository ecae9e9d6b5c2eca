"""The limits of one client's share of connections, streams and memory."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from guidkeep.errors import StartupError
from guidkeep.http.limits import STREAM_COST
from guidkeep.registry.paging import MAX_PAGE, PAGE_MEMORY
from guidkeep.settings import BODY_COST, LEAST_MEMORY, REQUEST_COST, load
from tests.server.processes import serving
from tests.server.test_bulk import Reading, many
from tests.server.wire import Wire, record, request, wired
from tests.support import served, wait_until

if TYPE_CHECKING:
    from pathlib import Path

BODY = 60_000


def held(wire: Wire) -> int:
    """The bytes that requests hold, by the server's metrics."""
    found = re.search(
        rb"^guidkeep_request_bytes (\S+)", wire.ask("GET", "/metrics").body, re.MULTILINE
    )
    assert found
    return int(float(found[1]))


def unfinished(wire: Wire) -> None:
    """Sends most of a large body."""
    wire.send(request("POST", "/guid", None, f"Content-Length: {BODY + 1}"), b"x" * BODY)


@pytest.mark.parametrize("begun", ["the head", "a part of the body"])
def test_a_body_that_has_not_arrived_takes_nobody_s_place(url: str, begun: str) -> None:
    with (
        served(store=url, max_pending=1) as server,
        wired(server.address) as other,
        ExitStack() as stack,
    ):
        for _ in range(20):
            wire = stack.enter_context(wired(server.address))
            wire.send(request("POST", "/guid", None, "Content-Length: 50"))
            if begun != "the head":
                wire.send(b'{"user":')
        for _ in range(5):
            assert other.ask("POST", "/guid", record()).status == 201
            assert other.ask("GET", "/guid").status == 200


def test_a_body_that_arrives_when_all_places_are_taken_is_refused_then(
    url: str, tmp_path: Path
) -> None:
    """A request that has sent only its head is refused before the body is sent."""
    body = record()
    with (
        served(store=url, max_pending=1, store_timeout=30.0) as server,
        wired(server.address) as early,
        wired(server.address) as stuck,
        wired(server.address) as late,
        closing(sqlite3.connect(tmp_path / "guidkeep.db", isolation_level=None)) as other,
    ):
        early.send(request("POST", "/guid", None, f"Content-Length: {len(body)}"), body[:5])
        other.execute("BEGIN IMMEDIATE")
        stuck.send(request("POST", "/guid", record()))
        wait_until(lambda: late.ask("GET", "/guid").status == 429)
        early.send(body[5:])
        answer = early.answer()
        assert answer.is_problem(429)
        assert "nothing was done" in answer.json["detail"]
        late.send(request("POST", "/guid", None, f"Content-Length: {len(body)}"))
        assert late.answer().is_problem(429)
        other.execute("COMMIT")
        assert stuck.answer().status == 201


def test_bodies_that_do_not_come_to_their_end_give_way_to_those_that_do(url: str) -> None:
    """The oldest request is refused; the memory stays within the limit."""
    limit = 10 * BODY
    with (
        served(store=url, max_memory=limit) as server,
        wired(server.address) as other,
        ExitStack() as stack,
    ):
        wires = []
        for _ in range(40):
            wires.append(stack.enter_context(wired(server.address)))
            unfinished(wires[-1])
            assert held(other) <= limit
        wait_until(lambda: held(other) > limit // 2)
        made = [other.ask("POST", "/guid", record(pad="x" * BODY)) for _ in range(3)]
        assert [answer.status for answer in made] == [201] * 3
        first = wires[0].answer()
        assert first.is_problem(429)
        assert first.headers["retry-after"] == "1"
        assert "nothing was done" in first.json["detail"]
        for answer in made:
            assert other.ask("GET", answer.headers["location"]).status == 200


def test_a_request_for_which_there_is_no_memory_is_refused_and_nothing_is_done(
    url: str, tmp_path: Path
) -> None:
    """The requests before it wait for the store."""
    body = record(pad="x" * BODY)
    limit = 2 * (BODY_COST * len(body) + REQUEST_COST)
    with (
        served(store=url, max_memory=limit, store_timeout=30.0) as server,
        wired(server.address) as late,
        ExitStack() as stack,
        closing(sqlite3.connect(tmp_path / "guidkeep.db", isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        wires = [stack.enter_context(wired(server.address)) for _ in range(2)]
        for wire in wires:
            wire.send(request("POST", "/guid", body))
        wait_until(lambda: held(late) == limit)
        answer = late.ask("POST", "/guid", record())
        assert answer.is_problem(429)
        assert "--max-memory" in answer.json["detail"]
        assert late.ask("GET", "/livez").status == 200
        other.execute("COMMIT")
        assert [wire.answer().status for wire in wires] == [201, 201]
        wait_until(lambda: held(late) == 0)
        assert other.execute("SELECT count(*) FROM record").fetchone() == (2,)


@pytest.mark.parametrize("limit", ["max_streams", "max_memory"])
def test_more_streams_than_allowed_are_refused_and_welcome_later(url: str, limit: str) -> None:
    most = {"max_streams": 1, "max_memory": STREAM_COST + 500_000}[limit]
    with (
        served(store=url, **{limit: most}) as server,  # type: ignore[arg-type]  # mypy takes it for the clock
        wired(server.address, timeout=60) as other,
    ):
        many(other)
        with wired(server.address, receive_buffer=4096) as unread:
            unread.send(request("GET", "/export"))
            assert Reading(unread).head() == 200
            for asked in (request("GET", "/export"), request("POST", "/bulk", b"")):
                other.send(asked)
                answer = other.answer()
                assert answer.is_problem(429)
                assert answer.headers["retry-after"] == "1"
            assert other.ask("POST", "/guid", record()).status == 201
            unread.reset()
        wait_until(lambda: held(other) == 0)
        other.send(request("POST", "/bulk", b""))
        assert Reading(other).head() == 200


def test_pages_that_are_not_read_are_counted_and_give_way_to_other_requests(url: str) -> None:
    """The client that has not read for longest is cut off; all others are served in full."""
    limit = PAGE_MEMORY + 2 * 2**20
    with (
        served(store=url, max_memory=limit) as server,
        wired(server.address, timeout=60) as other,
        ExitStack() as stack,
    ):
        many(other)
        wait_until(lambda: held(other) == 0)
        unread = []
        for number in range(1, 10):
            unread.append(stack.enter_context(wired(server.address, receive_buffer=4096)))
            unread[-1].send(request("GET", "/guid?limit=15"))
            assert Reading(unread[-1]).head() == 200
            assert min(number, 2) * 15 * BODY < held(other) <= limit
        assert other.ask("POST", "/guid", record(pad="x" * BODY)).status == 201
        assert len(other.ask("GET", "/guid?limit=15").json["guids"]) == 15
        assert len(unread[0].rest()) < 15 * BODY
        for wire in unread:
            wire.reset()
        wait_until(lambda: held(other) == 0)


def test_the_least_memory_that_may_be_asked_for_is_enough_for_any_one_request(url: str) -> None:
    most = (LEAST_MEMORY - REQUEST_COST) // (BODY_COST + 1)
    load({"max_body": str(most), "max_memory": str(LEAST_MEMORY)}, {})
    with pytest.raises(StartupError, match="--max-memory"):
        load({"max_body": str(most + 1), "max_memory": str(LEAST_MEMORY)}, {})
    body = record(pad="")
    body = record(pad="x" * (most - len(body)))
    with (
        served(store=url, max_body=most, max_memory=LEAST_MEMORY) as server,
        wired(server.address, timeout=60) as wire,
    ):
        for _ in range(4):
            assert wire.ask("POST", "/guid", body).status == 201
        assert len(wire.ask("GET", "/guid").json["guids"]) == MAX_PAGE // most
        assert wire.ask("GET", "/docs/swagger-ui-bundle.js").status == 200
        wait_until(lambda: held(wire) == 0)
        wire.send(request("GET", "/export"))
        assert Reading(wire).head() == 200


def test_a_page_for_which_there_is_no_memory_is_refused(url: str) -> None:
    with (
        served(store=url, max_memory=STREAM_COST + PAGE_MEMORY) as server,
        wired(server.address, timeout=60) as other,
        wired(server.address, receive_buffer=4096) as unread,
    ):
        many(other)
        unread.send(request("GET", "/export"))
        assert Reading(unread).head() == 200
        assert other.ask("GET", "/guid?limit=1").is_problem(429)
        assert other.ask("GET", "/guid?limit=0").is_problem(400)
        assert other.ask("POST", "/guid", record()).status == 201


@pytest.mark.parametrize("per_client", [100, 0])
def test_one_client_has_no_more_than_its_share_of_the_streams(url: str, per_client: int) -> None:
    """Behind a proxy the clients can't be told apart."""
    with (
        served(store=url, max_streams=4 * 2, max_connections_per_client=per_client) as server,
        wired(server.address, timeout=60) as one,
        wired(server.address, source="127.0.0.2") as other,
        ExitStack() as stack,
    ):
        many(one)
        for _ in range(2 if per_client else 8):
            wire = stack.enter_context(wired(server.address, receive_buffer=4096))
            wire.send(request("GET", "/export"))
            assert Reading(wire).head() == 200
        answer = one.ask("POST", "/bulk", b"")
        assert answer.is_problem(429)
        assert ("one client" in answer.json["detail"]) is bool(per_client)
        other.send(request("POST", "/bulk", b""))
        assert Reading(other).head() == (200 if per_client else 429)
        wire.reset()
        wait_until(lambda: held(one) < (2 if per_client else 8) * STREAM_COST)
        one.send(request("POST", "/bulk", b""))
        assert Reading(one).head() == 200


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
def test_the_memory_of_many_bodies_is_bounded_and_given_back(tmp_path: Path) -> None:
    """Fifty megabytes are sent; sixteen may be held."""
    flags = ("--max-memory", "16MiB")
    with (
        serving(tmp_path / "guidkeep.db", *flags) as server,
        wired(server.address) as other,
    ):
        other.ask("POST", "/guid", record())
        before = server.memory
        with ExitStack() as stack:
            for _ in range(850):
                unfinished(stack.enter_context(wired(server.address)))
            assert other.ask("POST", "/guid", record()).status == 201
            grown = server.memory - before
            assert grown < 45 * 2**20, f"{grown / 2**20:.0f} MiB"
        wait_until(lambda: server.memory - before < 25 * 2**20)


HEAPS = """
import asyncio, ctypes, sys, threading
from guidkeep.server.server import run
from guidkeep.settings import Settings

async def work():
    kept = []
    thread = threading.Thread(target=lambda: kept.extend(bytes(1_000) for _ in range(1_000)))
    thread.start()
    thread.join()
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)

run(Settings(), work)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
def test_all_threads_of_a_server_share_one_heap(tmp_path: Path) -> None:
    """Otherwise memory freed by one thread is unusable for another, and is taken twice."""
    told = tmp_path / "heaps.xml"
    subprocess.run([sys.executable, "-c", HEAPS, str(told)], check=True)
    assert told.read_text().count("<heap nr=") == 1
