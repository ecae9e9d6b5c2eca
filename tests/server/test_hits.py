"""Hits in a cache on another machine, answered beneath the application, and what may happen while
that cache is asked. A proxy before Redis decides when Redis responds.
"""

from __future__ import annotations

import gc
import re
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from servers.proxy import Proxy
from tests.server.wire import parse, record, request, wired
from tests.support import MARCH_2015, Clock, served, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guidkeep.server.server import Running
    from tests.engines import Engines
    from tests.server.wire import Wire

TRIES = 500


class Place:
    """A server over a Redis that a test lets hang."""

    def __init__(self, server: Running, proxy: Proxy) -> None:
        self.server = server
        self.address = server.address
        self.hold = proxy.hold
        self.heal = proxy.heal


@pytest.fixture
def redis_url(engines: Engines) -> str:
    return engines.get("redis").fresh()


@contextmanager
def hanging(store: str, redis_url: str, **settings: Any) -> Iterator[Place]:
    """A server that by default waits for Redis as long as a test needs."""
    with Proxy.before(redis_url) as proxy:
        chosen = {"cache_timeout": 30.0, **settings}
        with served(store=store, cache=proxy.url(redis_url), **chosen) as server:
            yield Place(server, proxy)


@pytest.fixture
def place(url: str, redis_url: str) -> Iterator[Place]:
    with hanging(url, redis_url) as place:
        yield place


def made() -> set[int]:
    """The objects for connections and requests that still exist."""
    kinds = (HttpToolsProtocol, RequestResponseCycle)
    return {id(each) for each in gc.get_objects() if isinstance(each, kinds)}


def figure(wire: Wire, pattern: str) -> float:
    """A number of /metrics."""
    text = wire.ask("GET", "/metrics").body.decode()
    found = re.search(rf"^{pattern} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def answered(wire: Wire, what: str = "count") -> float:
    """Of GET with 200: how many there were, or the sum of their seconds."""
    labels = r'method="GET",route="/guid/\{guid\}",status="200"'
    return figure(wire, rf"guidkeep_request_seconds_{what}\{{{labels}\}}")


def hits(wire: Wire) -> float:
    return figure(wire, "guidkeep_cache_hits_total")


def connections(wire: Wire) -> float:
    return figure(wire, "guidkeep_connections")


def test_a_hit_is_answered_though_the_application_takes_no_more_requests(
    url: str, redis_url: str, guid: str, tmp_path: Path
) -> None:
    with (
        served(store=url, cache=redis_url, max_pending=1, store_timeout=30.0) as server,
        wired(server.address) as stuck,
        wired(server.address) as wire,
        closing(sqlite3.connect(tmp_path / "guidkeep.db", isolation_level=None)) as other,
    ):
        wire.ask("POST", f"/guid/{guid}", record())
        other.execute("BEGIN IMMEDIATE")
        stuck.send(request("POST", "/guid", record()))
        assert any(wire.ask("GET", "/guid").status == 429 for _ in range(TRIES))
        before = answered(wire), hits(wire)
        assert wire.ask("GET", f"/guid/{guid}").json["user"] == "Ann"
        assert (answered(wire), hits(wire)) == (before[0] + 1, before[1] + 1)
        assert wire.ask("HEAD", f"/guid/{guid}").status == 429
        assert wire.ask("GET", f"/guid/{guid}", None, 'If-None-Match: "1"').status == 429
        assert wire.ask("GET", f"/guid/{guid[::-1]}").is_problem(429), "what is no hit goes on"
        other.execute("COMMIT")
        assert stuck.answer().status == 201


def test_every_hit_and_every_miss_is_counted_once(address: str, guid: str) -> None:
    with wired(address) as wire:
        before = answered(wire), hits(wire), figure(wire, "guidkeep_cache_misses_total")
        wire.ask("POST", f"/guid/{guid}", record())
        missed = figure(wire, "guidkeep_cache_misses_total") - before[2]  # by the write
        for _ in range(3):
            assert wire.ask("GET", f"/guid/{guid}").status == 200
        assert wire.ask("GET", f"/guid/{guid[::-1]}").status == 404
        assert answered(wire) == before[0] + 3
        assert hits(wire) == before[1] + 3
        assert figure(wire, "guidkeep_cache_misses_total") == before[2] + missed + 1


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_requests_leave_nothing_that_only_the_collector_would_find(
    kind: str, url: str, redis_url: str, guid: str
) -> None:
    cache = "memory://" if kind == "memory" else redis_url
    collects = gc.isenabled()
    with served(store=url, cache=cache) as server:
        gc.collect()
        gc.disable()
        before = made()
        try:
            with wired(server.address) as wire:
                assert wire.ask("POST", f"/guid/{guid}", record()).status == 201
                assert wire.ask("GET", f"/guid/{guid}").status == 200
                assert wire.ask("GET", f"/guid/{guid[::-1]}").is_problem(404)
            wait_until(lambda: made() <= before)
        finally:
            if collects:
                gc.enable()


def test_a_pipeline_of_hits_and_misses_is_answered_in_its_order(address: str, guid: str) -> None:
    """In one piece, and with pieces that end in the middle of a request."""
    other, absent = guid[::-1], guid[16:] + guid[:16]
    asked = [(guid, 200), (absent, 404), (other, 200), (guid, 200), (guid, 200), (absent, 404)]
    sent = b"".join(request("GET", f"/guid/{each}") for each, _ in asked)
    with wired(address) as wire:
        for each in (guid, other):
            wire.ask("POST", f"/guid/{each}", record(each))
        for piece in (len(sent), 1, 7, 60, len(sent) // 6, len(sent) // 6 + 1):
            wire.send(*(sent[at : at + piece] for at in range(0, len(sent), piece)))
            for each, status in asked:
                answer = wire.answer()
                assert answer.status == status
                if status == 200:
                    assert answer.json["user"] == each


def test_what_comes_after_a_read_waits_until_the_cache_has_spoken(place: Place, guid: str) -> None:
    with wired(place.address) as wire, wired(place.address) as other:
        wire.ask("POST", f"/guid/{guid}", record())
        place.hold()
        wire.send(request("GET", f"/guid/{guid}"), request("GET", "/livez"))
        wire.send(request("GET", f"/guid/{guid}") * 2)
        assert other.ask("GET", "/livez").status == 200
        place.heal()
        first, second, *more = (wire.answer() for _ in range(4))
        assert first.json["user"] == "Ann"
        assert second.json["status"] == "ok"
        assert [answer.json["user"] for answer in more] == ["Ann"] * 2


def test_a_write_after_a_read_is_not_seen_by_it(place: Place, guid: str) -> None:
    with wired(place.address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        place.hold()
        wire.send(request("GET", f"/guid/{guid}"))
        wire.send(request("PATCH", f"/guid/{guid}", record("Bob")))
        place.heal()
        assert [wire.answer().json["user"] for _ in range(2)] == ["Ann", "Bob"]


def test_a_cache_that_does_not_speak_in_time_is_done_without(
    url: str, redis_url: str, guid: str
) -> None:
    """The time that it took counts as the request's too."""
    with hanging(url, redis_url, cache_timeout=0.1) as place, wired(place.address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        assert any(
            wire.ask("GET", f"/guid/{guid}").status == 200 and hits(wire) for _ in range(TRIES)
        )
        before, took = hits(wire), answered(wire, "sum")
        place.hold()
        assert wire.ask("GET", f"/guid/{guid}").json["user"] == "Ann"
        assert hits(wire) == before
        assert answered(wire, "sum") >= took + 0.1, "asked once, of the store then"
        place.heal()
        assert any(
            wire.ask("GET", f"/guid/{guid}").status == 200 and hits(wire) > before
            for _ in range(100 * TRIES)
        )


@pytest.mark.parametrize("asked", [1, 2])
def test_a_client_that_leaves_meanwhile_leaves_nothing_behind(
    place: Place, guid: str, asked: int
) -> None:
    """While its reading is paused, a lost client is noticed only at its response."""
    with wired(place.address) as wire, wired(place.address) as leaving:
        wire.ask("POST", f"/guid/{guid}", record())
        before = answered(wire)
        place.hold()
        leaving.send(request("GET", f"/guid/{guid}") * asked)
        assert any(connections(wire) == 2 for _ in range(TRIES))
        assert all(connections(wire) == 2 for _ in range(20)), "it has read what was asked"
        leaving.reset()
        if asked == 1:
            assert any(connections(wire) == 1 for _ in range(TRIES))
        place.heal()
        assert any(connections(wire) == 1 for _ in range(TRIES))
        assert wire.ask("GET", f"/guid/{guid}").json["user"] == "Ann"
        if asked == 1:
            assert answered(wire) == before + 1
        assert figure(wire, r"guidkeep_cache_failures_total\{.*\}") == 0


def test_a_client_that_breaks_off_meanwhile_gets_its_answer_or_none(
    place: Place, guid: str
) -> None:
    """A 400 there would be taken for the response to the read."""
    with wired(place.address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        place.hold()
        wire.send(request("GET", f"/guid/{guid}") + b"\0 garbage \r\n\r\n")
        place.heal()
        found = parse(wire.rest())
        assert found is None or found[0].status == 200


def test_a_server_that_stops_meanwhile_answers_and_says_that_it_closes(
    place: Place, guid: str
) -> None:
    with wired(place.address) as wire, wired(place.address) as idle:
        wire.ask("POST", f"/guid/{guid}", record())
        idle.ask("GET", "/livez")
        place.hold()
        wire.send(request("GET", f"/guid/{guid}"))
        place.server.stop()
        assert idle.is_closed(), "it has told its connections"
        place.heal()
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.is_closed()


def test_a_server_that_has_waited_long_enough_gives_up(url: str, redis_url: str, guid: str) -> None:
    with (
        hanging(url, redis_url, drain_timeout=0.1) as place,
        wired(place.address) as wire,
    ):
        wire.ask("POST", f"/guid/{guid}", record())
        place.hold()
        wire.send(request("GET", f"/guid/{guid}"))
        place.server.stop()
        assert wire.answer().is_problem(503)
        assert wire.is_closed()


def test_a_hit_ends_to_the_second(url: str, redis_url: str, guid: str) -> None:
    clock = Clock()
    end = MARCH_2015 + 30
    with (
        served(clock, store=url, cache=redis_url) as server,
        wired(server.address) as wire,
    ):
        wire.ask("POST", f"/guid/{guid}", record(expire=str(end)))
        for now, status in ((end - 1, 200), (end - 0.001, 200), (end, 404), (end - 0.5, 200)):
            clock.now = now
            assert wire.ask("GET", f"/guid/{guid}").status == status
