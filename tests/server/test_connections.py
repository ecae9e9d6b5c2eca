"""The limits of connections, in all and per client. Requests for health are always served."""

from __future__ import annotations

import json
import re
import resource
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from guidkeep.http.clients import client_of
from guidkeep.http.connection import context, gate, protocol
from guidkeep.http.connection.context import OTHER_DESCRIPTORS
from guidkeep.http.connection.gate import Gate
from tests.server.processes import serving
from tests.server.wire import Wire, request, wired
from tests.support import served, wait_until

if TYPE_CHECKING:
    from pathlib import Path

HEALTH = ["/livez", "/readyz", "/livez?verbose"]


def refused(wire: Wire, reason: str) -> int:
    """The number of connections that the server has refused for that reason."""
    pattern = rf'^guidkeep_refused_connections_total{{reason="{reason}"}} (\d+)'
    found = re.search(pattern.encode(), wire.ask("GET", "/metrics").body, re.MULTILINE)
    return int(found[1]) if found else 0


def connections(wire: Wire) -> int:
    found = re.search(
        rb"^guidkeep_connections (\d+)", wire.ask("GET", "/metrics").body, re.MULTILINE
    )
    assert found
    return int(found[1])


@pytest.fixture(params=["connections", "client"])
def limit(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The name of a limit, and the settings that set it to three connections."""
    names = {"connections": "max_connections", "client": "max_connections_per_client"}
    return request.param, {names[request.param]: 3}


def test_more_connections_than_allowed_are_refused_with_a_sentence(
    url: str, limit: tuple[str, dict[str, Any]]
) -> None:
    reason, settings = limit
    with served(store=url, **settings) as server, ExitStack() as stack:
        wires = [stack.enter_context(wired(server.address)) for _ in range(3)]
        assert all(wire.ask("GET", "/livez").status == 200 for wire in wires)
        with wired(server.address) as one_more:
            one_more.send(request("GET", "/guid"))
            answer = one_more.answer()
            assert answer.is_problem(429)
            assert answer.headers["retry-after"] == "1"
            assert one_more.is_closed()
        assert refused(wires[0], reason) == 1
        wires[0].socket.close()
        wait_until(lambda: connections(wires[1]) == 2)
        with wired(server.address) as welcome:
            assert welcome.ask("GET", "/guid").status == 200


@pytest.mark.parametrize("path", HEALTH)
def test_health_is_answered_though_there_are_too_many_connections(
    url: str, limit: tuple[str, dict[str, Any]], path: str
) -> None:
    """Repeatedly: a request for health gives its place back."""
    with served(store=url, **limit[1]) as server, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(wired(server.address)).ask("GET", "/livez")
        for _ in range(gate.GUESTS + 2):
            with wired(server.address) as orchestrator:
                answer = orchestrator.ask("GET", path)
                assert (answer.status, answer.headers["connection"]) == (200, "close")
                assert orchestrator.is_closed()


@pytest.mark.parametrize("begun", [b"", b"GET /livez HTTP/1.1\r\n"], ids=["nothing", "a part"])
def test_health_is_answered_though_others_wait_for_the_last_places(url: str, begun: bytes) -> None:
    """The oldest connection without a request is closed in favour of the newest."""
    with served(store=url, max_connections=1) as server, ExitStack() as stack:
        inside = stack.enter_context(wired(server.address))
        inside.ask("GET", "/livez")
        waiting = [stack.enter_context(wired(server.address)) for _ in range(2 * gate.GUESTS)]
        for wire in waiting[gate.GUESTS :]:
            wire.send(begun)
        wait_until(lambda: connections(inside) == gate.GUESTS + 1)
        with wired(server.address) as orchestrator:
            assert orchestrator.ask("GET", "/livez").status == 200
        assert refused(inside, "guests") == gate.GUESTS + 1
        assert waiting[0].is_closed()
        waiting[-1].send(request("GET", "/livez")[len(begun) :])
        assert waiting[-1].answer().status == 200, "the last ones have kept their places"


def test_a_connection_beyond_the_limit_that_asks_for_nothing_is_told_why_and_closed(
    watchful: None, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "GUEST_TIME", 0.1)
    with (
        served(store=url, max_connections=1) as server,
        wired(server.address) as inside,
    ):
        inside.ask("GET", "/livez")
        with (
            wired(server.address) as silent,
            wired(server.address) as slow,
            wired(server.address) as mute,
        ):
            slow.send(b"GET /livez HT")
            mute.socket.shutdown(socket.SHUT_WR)
            for wire in (silent, slow, mute):
                assert wire.answer().is_problem(429)
                assert wire.is_closed()
        assert inside.ask("GET", "/livez").status == 200


def test_who_finds_no_place_at_all_is_closed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "GUESTS", 0)
    with served(store=url, max_connections=1) as server, wired(server.address) as inside:
        inside.ask("GET", "/livez")
        with wired(server.address) as one_more:
            assert one_more.is_closed()
        assert inside.ask("GET", "/livez").status == 200


def test_an_address_has_its_own_limit(url: str) -> None:
    """127.0.0.2 is another client."""
    with served(store=url, max_connections_per_client=2) as server, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(wired(server.address)).ask("GET", "/livez")
        with wired(server.address) as refused_one:
            assert refused_one.ask("GET", "/guid").status == 429
        with wired(server.address, source="127.0.0.2") as other:
            assert other.ask("GET", "/guid").status == 200


def test_without_a_limit_for_each_client_one_may_have_all(url: str) -> None:
    with (
        served(store=url, max_connections=5, max_connections_per_client=0) as server,
        ExitStack() as stack,
    ):
        wires = [stack.enter_context(wired(server.address)) for _ in range(5)]
        assert {wire.ask("GET", "/guid").status for wire in wires} == {200}


@pytest.mark.parametrize(
    ("one", "other", "are_the_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("::1", "127.0.0.1", False),
    ],
)
def test_a_client_is_an_ipv4_address_or_a_network_of_ipv6(
    one: str, other: str, are_the_same: bool
) -> None:
    assert (client_of(one) == client_of(other)) is are_the_same


class Busy:
    """A guest whose request is being answered."""

    def leave(self) -> bool:
        return False


def test_a_guest_that_is_being_answered_keeps_its_place() -> None:
    reasons: list[str] = []
    door = Gate(1, 0, reasons.append)
    guests = [Busy() for _ in range(gate.GUESTS + 1)]
    assert [door.seat(guest) for guest in guests] == [True] * gate.GUESTS + [False]
    door.unseat(guests[0])
    assert door.seat(guests[-1])
    assert reasons == []


def test_nothing_is_left_of_clients_that_are_gone() -> None:
    door = Gate(10, 2, lambda _: None)
    for _ in range(3):
        for number in range(5):
            assert door.admit(number)
            assert door.admit(number)
        for number in range(5):
            door.let_go(number)
            door.let_go(number)
    assert [door.admit(number) for number in range(11)] == [True] * 10 + [False]


def test_where_few_files_may_be_open_there_are_fewer_connections_and_the_log_says_so(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    flags = ("--max-connections", "1000", "--log-format", "json")
    limit = OTHER_DESCRIPTORS + 5
    with (
        serving(tmp_path / "guidkeep.db", *flags, log=log, descriptors=limit) as server,
        ExitStack() as stack,
    ):
        for _ in range(5):
            stack.enter_context(wired(server.address)).ask("GET", "/livez")
        with wired(server.address) as beyond:
            assert beyond.ask("GET", "/guid").status == 429
        with wired(server.address) as orchestrator:
            assert orchestrator.ask("GET", "/livez").status == 200
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["event"], line["asked"], line["most"]) for line in said] == [
        ("fewer connections than asked for", 1000, 5)
    ]


def test_when_descriptors_run_out_the_log_says_so_once_and_who_is_there_is_served(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system assigns the lowest free number, so a high one means that few are left."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (
        capture_logs() as logs,
        served(store=url) as server,
        wired(server.address) as inside,
        ExitStack() as stack,
    ):
        inside.ask("GET", "/livez")
        with ExitStack() as free:
            lowest = [free.enter_context(socket.socket()).fileno() for _ in range(20)]
        monkeypatch.setattr(context, "FEW_DESCRIPTORS", limit - max(lowest))
        one_more = stack.enter_context(wired(server.address))
        assert one_more.ask("GET", "/guid").status == 200
        opened = [stack.enter_context(wired(server.address)) for _ in range(30)]
        wait_until(lambda: refused(inside, "descriptors") > 10)
        assert inside.ask("GET", "/guid").status == 200
        assert one_more.ask("GET", "/guid").status == 200
        assert opened[-1].is_closed()
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == [
        "descriptors are running out"
    ]
