"""How much of what a client sends is taken: one request of each connection, and what fits."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from guidkeep.http.connection import reading
from tests.server.ends import Ends, both_ends
from tests.server.wire import GUID, parse, request
from tests.support import iterations, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import FrameType

HIT = b"content-length: 2\r\n\r\n{}"


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    async with both_ends() as ends:
        yield ends


async def heard(ends: Ends) -> bytes:
    """Returns the server's next response."""
    await iterations(1)
    return await asyncio.get_running_loop().sock_recv(ends.client, 1_000_000)


async def test_of_a_pipeline_one_request_is_made_and_what_was_read_with_it_waits(
    ends: Ends,
) -> None:
    """However much is sent: the server reads no more until it has answered."""
    asked = b"".join(request("GET", f"/{number}") for number in range(100_000))
    ends.server.data_received(asked[:100_000])
    await iterations()
    assert ends.app.asked == ["/0"]
    assert not ends.server.transport.is_reading()
    assert ends.server.held == ends.server.context.memory.used == 100_000
    ends.app.answer(3)
    await until(lambda: len(ends.app.asked) == 4)
    assert ends.app.asked == ["/0", "/1", "/2", "/3"]
    assert ends.server.held > 90_000


async def test_what_is_parsed_is_not_kept_for_what_is_not(ends: Ends) -> None:
    asked = request("GET", "/1")
    ends.server.data_received(asked * 10)
    ends.app.answer(6)
    await until(lambda: len(ends.app.asked) == 7)
    assert 3 * len(asked) <= ends.server.held < 2 * 3 * len(asked)
    ends.app.answer(10)
    await until(lambda: len(ends.app.asked) == 10)
    await iterations()
    assert ends.server.held == ends.server.context.memory.used == 0
    assert ends.server.transport.is_reading()


async def test_hits_are_answered_a_few_at_a_time() -> None:
    """A connection with many requests lets the event loop serve others in between."""
    answered = 0

    def hit(guid: str) -> bytes:
        nonlocal answered
        answered += 1
        return HIT

    async with both_ends(hit=hit, send_buffer=10**6) as ends:
        ends.server.data_received(request("GET", f"/guid/{GUID}") * 1000)
        assert answered == reading.SLICES_AT_ONCE
        assert ends.server.held > 0
        before = answered
        while answered < 1000:
            await heard(ends)
            assert answered - before <= reading.SLICES_AT_ONCE
            before = answered
        await iterations()
        assert ends.server.held == 0
        assert ends.app.asked == []


async def test_a_hit_makes_few_calls_and_nothing_that_only_the_application_needs() -> None:
    """Calls of Python functions are most of its cost, beside system calls."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    async with both_ends(hit=lambda _: HIT, send_buffer=10**6) as ends:
        asked = request("GET", f"/guid/{GUID}")
        ends.server.data_received(asked)  # the first one fills shared caches
        sys.setprofile(note)
        try:
            ends.server.data_received(asked)
        finally:
            sys.setprofile(None)
        assert (await heard(ends)).count(HIT) == 2
        assert calls.count("on_message_begin") == 1
    assert 10 < len(calls) <= 16, calls


async def test_of_a_head_without_end_few_fields_are_parsed(ends: Ends) -> None:
    """Each costs more to parse than its bytes do."""
    parsed = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal parsed
        parsed += event == "call" and frame.f_code.co_name == "on_header"

    sys.setprofile(count)
    try:
        ends.server.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * 50_000)
    finally:
        sys.setprofile(None)
    assert 0 < parsed <= reading.HEAD_SLICE / 4
    assert ends.server.headers == [], "a client that stays would keep them"
    found = parse(await heard(ends))
    assert found is not None
    assert found[0].is_problem(431)
    assert str(reading.MOST_FIELDS) in found[0].json["detail"]


@pytest.mark.parametrize(("beyond", "is_taken"), [(0, True), (1, False)])
async def test_so_many_bytes_of_a_head_and_no_more_are_taken(
    ends: Ends, beyond: int, is_taken: bool
) -> None:
    begin, end = b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"\r\n\r\n"
    most = ends.server.context.settings.max_headers
    ends.server.data_received(begin + b"x" * (most - len(begin + end) + beyond) + end)
    await iterations()
    assert bool(ends.app.asked) is is_taken


@pytest.mark.parametrize(("count", "is_taken"), [(255, True), (256, False)])
async def test_so_many_fields_and_no_more_are_taken(ends: Ends, count: int, is_taken: bool) -> None:
    """`Host` is one of them."""
    ends.server.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * count + b"\r\n")
    await iterations()
    assert bool(ends.app.asked) is is_taken


@pytest.mark.parametrize("coding", ["Content-Length: 60000", "Transfer-Encoding: chunked"])
async def test_a_body_is_held_where_it_is_counted_until_it_is_whole(
    ends: Ends, coding: str
) -> None:
    ends.server.data_received(request("POST", "/guid", None, coding))
    part = b"x" * 10_000
    if "chunked" in coding:
        part = b"2710\r\n%b\r\n" % part
    for number in range(1, 6):
        ends.server.data_received(part)
        assert number * 10_000 <= ends.server.held <= number * 13_000
    assert ends.server.held == ends.server.context.memory.used
    assert not ends.server.cycle.message_event.is_set(), "nobody is woken for a part"
    ends.client.close()
    await iterations()
    assert ends.server.context.memory.used == 0


async def test_who_has_held_longest_gives_way_when_the_memory_is_used_up() -> None:
    """No part of its request was done, and the response says so."""
    async with both_ends(max_memory=100_000) as first, both_ends() as second:
        second.server.context = first.server.context
        for ends in (first, second):
            ends.server.data_received(request("POST", "/guid", None, "Content-Length: 65000"))
            ends.server.data_received(b"x" * 60_000)
        assert first.server.held == 0
        assert second.server.held >= 60_000
        assert first.server.context.memory.evictions == 1
        found = parse(await heard(first))
        assert found is not None
        assert found[0].is_problem(429)
        assert "nothing was done" in found[0].json["detail"]
        assert second.is_open()
        second.server.context.memory.hold(second.server, 0)


async def test_nobody_gives_way_for_a_request_that_would_not_fit_even_so() -> None:
    async with both_ends(max_memory=100_000) as ends:
        ends.server.data_received(request("POST", "/guid", None, "Content-Length: 65000"))
        ends.server.data_received(b"x" * 60_000)
        memory = ends.server.context.memory
        assert memory.take(20_000)
        assert not memory.take(90_000)
        assert ends.server.held > 0
        assert memory.take(70_000), "for this one there is room without it"
        assert ends.server.held == 0
        assert memory.used == 90_000


async def test_a_pipeline_that_gives_way_is_answered_what_was_begun_and_ends() -> None:
    async with both_ends(max_memory=10_000) as ends:
        ends.server.data_received(request("GET", "/1") * 1000)
        await iterations()
        assert ends.app.asked == ["/1"]
        assert ends.server.held == 0
        ends.app.answer()
        await until(lambda: not ends.is_open())
        found = parse(await heard(ends))
        assert found is not None
        assert (found[0].status, found[0].headers["connection"]) == (200, "close")
        assert found[1] == b""


async def test_a_whole_request_keeps_its_body_when_the_memory_is_used_up() -> None:
    """Otherwise it would be processed as a request without a body, which was never sent."""
    async with both_ends(max_memory=100_000) as ends:
        asked = request("POST", "/guid", b"x" * 60_000)
        ends.server.data_received(asked + request("GET", "/after"))
        memory = ends.server.context.memory
        assert memory.used > 60_000
        assert memory.take(90_000), "who holds bytes gives way"
        assert memory.used == 90_000
        assert ends.server.cycle.body == b"x" * 60_000
        ends.app.answer()
        await until(lambda: not ends.is_open())
        assert ends.app.asked == ["/guid"]
        found = parse(await heard(ends))
        assert found is not None
        assert (found[0].status, found[0].headers["connection"]) == (200, "close")


async def test_hits_that_wait_for_their_turn_give_way_too() -> None:
    async with both_ends(hit=lambda _: HIT, send_buffer=10**6, max_memory=10_000) as ends:
        ends.server.data_received(request("GET", f"/guid/{GUID}") * 1000)
        answers = await heard(ends)
        assert answers.count(HIT) == reading.SLICES_AT_ONCE
        assert answers.partition(b" 429 ")[1]


async def test_what_is_not_read_is_counted_and_cut_off_when_the_memory_is_used_up() -> None:
    async with both_ends(hit=lambda _: HIT + b"x" * 60_000, max_memory=50_000) as ends:
        ends.server.data_received(request("GET", f"/guid/{GUID}"))
        await until(lambda: not ends.is_open())
        assert ends.server.context.memory.evictions == 1
        assert ends.server.context.memory.used == 0


async def test_an_answer_that_is_ready_and_not_sent_is_lost_with_its_connection() -> None:
    """Whether the client has stopped reading, or reads slowly."""
    async with both_ends(max_memory=100_000) as ends:
        ends.server.data_received(request("GET", "/1"))
        await iterations()
        ends.server.response_waits(60_000)
        memory = ends.server.context.memory
        assert memory.used == 60_000
        assert memory.take(90_000)
        assert memory.used == 90_000
        await until(lambda: not ends.is_open())


async def test_what_is_read_late_is_counted_until_then() -> None:
    async with both_ends(hit=lambda _: HIT + b"x" * 60_000) as ends:
        ends.server.data_received(request("GET", f"/guid/{GUID}"))
        memory = ends.server.context.memory
        assert 40_000 < memory.used < 70_000
        while memory.used:
            await heard(ends)
        assert not ends.is_stalled()


async def test_a_body_that_nobody_wants_is_let_go_with_the_answer(ends: Ends) -> None:
    asked = request("GET", "/", b"x" * 60_000)
    ends.server.data_received(asked)
    await iterations()
    assert ends.server.held >= 60_000
    ends.app.answer()
    await until(ends.server.is_idle)
    await iterations()
    assert ends.server.context.memory.used == 0


async def test_a_request_with_more_after_it_does_not_close_a_server_that_stops(
    ends: Ends,
) -> None:
    """The last that was sent says that it closes."""
    ends.server.data_received(request("GET", "/1"))
    await iterations()
    ends.server.context.draining = True
    ends.server.data_received(request("GET", "/2") + request("GET", "/3"))
    ends.server.shutdown()
    ends.app.answer(3)
    await until(lambda: not ends.is_open())
    assert ends.app.asked == ["/1", "/2", "/3"]
    answers = (await heard(ends)).split(b"HTTP/1.1 ")[1:]
    assert [b"connection: close" in answer for answer in answers] == [False, False, True]


async def test_a_body_that_nobody_takes_is_read_no_further(ends: Ends) -> None:
    """However many slices of it are still to be parsed."""
    ends.server.data_received(
        request("POST", "/guid", None, "Transfer-Encoding: chunked")
        + b"10400\r\n%b\r\n" % (b"x" * 0x10400)
        + b"4\r\n\r\n\r\n\r\n" * 4 * reading.SLICES_AT_ONCE
    )
    await iterations()
    assert not ends.server.transport.is_reading()
    assert ends.server.held >= 0x10400


async def test_who_is_being_answered_leaves_for_nobody(ends: Ends) -> None:
    ends.server.data_received(request("GET", "/livez"))
    assert not ends.server.leave()
    ends.app.answer()
    await until(ends.server.is_idle)
    assert ends.server.leave()
    await until(lambda: not ends.is_open())
