"""The pool, on an adapter whose server is scripted by the test."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from guidkeep.stores.remote import pool as pools
from guidkeep.stores.remote.failures import InDoubt, NotSent, Refused, Report, Unreached
from guidkeep.stores.remote.pool import RECONNECT, RETRIES, Pool
from guidkeep.system.backoff import Backoff
from tests.stores.remote.scripted import (
    AWAY,
    DEADLOCK,
    LOST,
    READ_ONLY,
    SOON,
    Said,
    Server,
    in_time,
    two_idle,
)
from tests.support import iterations, until

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_a_connection_is_used_again_the_last_used_first(
    pool: Pool[str, str], server: Server
) -> None:
    assert await pool.run("a", in_time()) == "a on 0"
    gate = asyncio.Event()
    server.acts = [gate]
    held = asyncio.create_task(pool.run("b", in_time()))
    await iterations(3)
    assert await pool.run("c", in_time()) == "c on 1"
    gate.set()
    assert await held == "b on 0"
    assert await pool.run("d", in_time()) == "d on 0"
    assert server.attempts == 2


async def test_no_more_connections_are_open_than_the_size_allows(
    pool: Pool[str, str], server: Server
) -> None:
    gate = asyncio.Event()
    server.acts = [gate, gate]
    held = [asyncio.create_task(pool.run(str(at), in_time())) for at in range(5)]
    await iterations(5)
    assert server.done == ["0", "1"]
    gate.set()
    await asyncio.gather(*held)
    assert server.attempts == 2


async def test_until_a_connection_has_ended_its_place_is_taken(
    pool: Pool[str, str], server: Server
) -> None:
    server.slow_end = asyncio.Event()
    gate = asyncio.Event()
    server.acts = [LOST, gate]
    with pytest.raises(InDoubt):
        await pool.run("a", in_time())
    held = asyncio.create_task(pool.run("b", in_time()))
    waiting = asyncio.create_task(pool.run("c", in_time()))
    await iterations(5)
    assert server.done == ["a", "b"]
    server.slow_end.set()
    assert await waiting == "c on 2"
    gate.set()
    await held


async def test_a_connection_whose_statement_was_given_up_is_never_used_again(
    pool: Pool[str, str], server: Server
) -> None:
    """It may still carry the response to that statement, which the next one would read."""
    server.acts = [asyncio.Event(), asyncio.Event()]
    with pytest.raises(InDoubt, match="no response in time"):
        await pool.run("a", in_time(0.01))
    cancelled = asyncio.create_task(pool.run("b", in_time()))
    await iterations(5)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert await pool.run("c", in_time()) == "c on 2"
    assert [line.ended for line in server.lines] == [True, True, False]


async def test_a_statement_that_ignores_its_cancellation_ends_with_its_connection(
    pool: Pool[str, str], server: Server
) -> None:
    server.acts = ["deaf"]
    running = asyncio.ensure_future(pool.run("a", in_time(0.01)))
    await asyncio.wait([running], timeout=SOON)
    assert isinstance(running.exception(), InDoubt)
    assert str(running.exception()) == "no response in time"
    assert await pool.run("b", in_time()) == "b on 1"


async def test_a_connection_that_a_refusal_leaves_well_is_kept_and_any_other_is_not(
    pool: Pool[str, str], server: Server
) -> None:
    server.acts = [Said(Report("twice", "1062", is_response=True)), READ_ONLY]
    for _ in range(2):
        with pytest.raises(Refused):
            await pool.run("a", in_time())
    assert await pool.run("b", in_time()) == "b on 1"


async def test_a_statement_that_lost_against_another_is_sent_again_but_not_for_ever(
    pool: Pool[str, str], server: Server
) -> None:
    server.acts = [DEADLOCK] * RETRIES
    assert await pool.run("a", in_time()) == "a on 0"
    server.acts = [DEADLOCK] * 100
    with pytest.raises(Refused):
        await pool.run("b", in_time())
    assert server.done.count("b") == 1 + RETRIES


async def test_an_unsent_statement_goes_out_on_another_connection(
    pool: Pool[str, str], server: Server
) -> None:
    server.acts = ["before", "before"]
    assert await pool.run("a", in_time()) == "a on 2"
    server.acts = ["before"] * 100
    with pytest.raises(NotSent):
        await pool.run("b", in_time())


async def test_a_write_whose_connection_broke_is_not_sent_again_and_a_read_is(
    pool: Pool[str, str], server: Server
) -> None:
    server.acts = [LOST]
    with pytest.raises(InDoubt):
        await pool.run("write", in_time())
    assert server.done == ["write"]
    server.acts = [LOST]
    assert await pool.run("read", in_time(), repeatable=True) == "read on 2"


async def test_after_a_loss_the_others_are_tested_before_they_are_used(
    pool: Pool[str, str], server: Server
) -> None:
    await two_idle(pool, server)
    assert server.pinged == []
    server.acts, server.dead = [LOST], {1}
    with pytest.raises(InDoubt):
        await pool.run("c", in_time())
    assert await pool.run("d", in_time()) == "d on 2"
    assert server.pinged == [1]
    await iterations(2)
    assert server.lines[1].ended


async def test_a_connection_idle_for_long_is_tested_first(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pool.run("a", in_time())
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.0)
    assert await pool.run("b", in_time()) == "b on 0"
    server.closed = {0}
    server.dead = {0}
    assert await pool.run("c", in_time()) == "c on 1"


async def test_a_connection_known_to_be_closed_is_not_used(
    pool: Pool[str, str], server: Server
) -> None:
    await pool.run("a", in_time())
    server.closed = {0}
    assert await pool.run("b", in_time()) == "b on 1"
    assert server.pinged == []


@pytest.mark.waits
async def test_if_one_connection_is_silent_no_other_idle_one_is_tested(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_idle(pool, server)
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(pools, "PING_SECONDS", 0.01)
    server.silent = {0, 1}
    assert await pool.run("c", in_time()) == "c on 2"
    assert len(server.pinged) == 1


async def test_a_test_that_is_cancelled_ends_its_connection(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pool.run("a", in_time())
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.0)
    server.silent = {0}
    running = asyncio.create_task(pool.run("b", in_time()))
    await until(lambda: server.pinged)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await pool.run("c", in_time()) == "c on 1"


async def test_connections_idle_for_long_are_closed_properly(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pool.run("a", in_time())
    monkeypatch.setattr(pools, "LONGEST_IDLE_SECONDS", -1.0)
    await pool.run("b", in_time())
    await pool.close()
    assert [(line.said_goodbye, line.ended) for line in server.lines] == [(True, True)]


async def test_a_server_that_is_away_is_asked_less_and_less_often(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Watched(Backoff):
        def seconds(self, retry: int, chance: Callable[[], float] = lambda: 1.0) -> float:
            asked.append(retry)
            return 0.0 if retry < 3 else 3600.0

    monkeypatch.setattr(pools, "RECONNECT", Watched(0.0, 0.0))
    server.connects = [AWAY] * 100
    with capture_logs() as logs:
        for _ in range(10):
            with pytest.raises(Unreached, match="can't connect: refused"):
                await pool.run("a", in_time())
    assert asked == [0, 1, 2, 3], "one more for each failure"
    assert server.attempts == 4, "in the back-off nothing is tried"
    assert [line["event"] for line in logs] == ["store unreachable"], "said once"


async def test_a_server_that_is_back_is_logged_once_and_the_next_wait_is_the_shortest_again(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "RECONNECT", Backoff(0.0, 0.0))
    for _ in range(2):
        server.connects = [AWAY, AWAY]
        with capture_logs() as logs:
            for _ in range(2):
                with pytest.raises(Unreached):
                    await pool.run("a", in_time())
            await pool.run("a", in_time())
        assert [line["event"] for line in logs] == ["store unreachable", "store reachable again"]
        assert logs[1]["attempts"] == 2
        server.acts = [LOST]
        with pytest.raises(InDoubt):
            await pool.run("a", in_time())


def test_the_wait_between_attempts_to_connect_grows_to_a_second() -> None:
    waits = [RECONNECT.seconds(failures, lambda: 1.0) for failures in range(7)]
    assert waits == sorted(waits)
    assert waits[0] < 0.1
    assert waits[-1] == 1.0


async def test_a_statement_without_time_left_is_not_sent_and_costs_no_connection(
    pool: Pool[str, str], server: Server
) -> None:
    with pytest.raises(NotSent, match="no time was left to connect"):
        await pool.run("a", in_time(-1))
    await pool.run("b", in_time())
    with pytest.raises(NotSent, match="run out before it was sent"):
        await pool.run("c", in_time(-1))
    assert await pool.run("d", in_time()) == "d on 0"
    assert server.done == ["b", "d"]


async def test_all_connections_are_cut_off_when_their_server_can_not_serve(
    pool: Pool[str, str], server: Server
) -> None:
    await two_idle(pool, server)
    server.acts = [Said(Report("detached", "1047", is_response=True))]
    assert await pool.run("c", in_time()) == "c on 2"
    assert [line.ended for line in server.lines] == [True, True, False]
    assert server.pinged == []


async def test_the_log_has_the_code_with_which_a_server_refuses_a_connection(
    pool: Pool[str, str], server: Server
) -> None:
    server.connects = [Said(Report("OperationalError", "1045", is_response=True))]
    with capture_logs() as logs, pytest.raises(Unreached):
        await pool.run("a", in_time())
    assert [line["code"] for line in logs] == ["1045"]


async def test_a_statement_whose_own_time_ends_a_test_leaves_the_other_connections_alone(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_idle(pool, server)
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.0)
    server.silent = {0}
    with pytest.raises(NotSent, match="no time was left to test a connection") as failed:
        await pool.run("c", in_time(0.01))
    assert failed.value.is_timeout
    assert await pool.run("d", in_time()) == "d on 1"
    assert server.attempts == 2


async def test_a_silent_connection_costs_the_others_only_if_the_server_accepts_a_new_one(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool(server, size=2, timeout=0.02)
    monkeypatch.setattr(pools, "RECONNECT", Backoff(0.0, 0.0))
    await two_idle(pool, server)
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.0)
    server.silent, server.connects = {0}, [AWAY]
    with pytest.raises(Unreached):
        await pool.run("c", in_time())
    assert await pool.run("d", in_time()) == "d on 1"
    await two_idle(pool, server)
    server.silent = {line.number for line in server.lines}
    newest = len(server.lines)
    assert await pool.run("e", in_time()) == f"e on {newest}"
    assert all(line.ended for line in server.lines[:newest])


@pytest.mark.parametrize("whose", ["the statement's", "the server's"])
async def test_only_an_attempt_to_connect_that_had_enough_time_starts_a_back_off(
    server: Server, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "RECONNECT", Backoff(SOON, SOON))
    is_short = whose == "the statement's"
    pool = Pool(server, size=2, timeout=SOON if is_short else 0.02)
    server.connects = [asyncio.Event()]
    with capture_logs() as logs, pytest.raises(NotSent) as failed:
        await pool.run("a", in_time(0.02))
    assert isinstance(failed.value, Unreached) is not is_short
    assert [line["event"] for line in logs] == [] if is_short else ["store unreachable"]
    if is_short:
        assert await pool.run("b", in_time()) == "b on 0"
    else:
        with pytest.raises(Unreached):
            await pool.run("b", in_time())


async def test_of_attempts_to_connect_at_the_same_time_one_failure_counts(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Watched(Backoff):
        def seconds(self, retry: int, chance: Callable[[], float] = lambda: 1.0) -> float:
            asked.append(retry)
            return 0.0

    monkeypatch.setattr(pools, "RECONNECT", Watched(0.0, 0.0))
    gate = asyncio.Event()
    server.connects = [gate, gate, AWAY, AWAY]
    both = [asyncio.create_task(pool.run("a", in_time())) for _ in range(2)]
    await iterations(3)
    gate.set()
    failed = await asyncio.gather(*both, return_exceptions=True)
    assert [type(each) for each in failed] == [Unreached, Unreached]
    assert asked == [0]


async def test_a_failure_to_connect_that_comes_after_a_success_starts_no_back_off(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "RECONNECT", Backoff(SOON, SOON))
    slow = asyncio.Event()
    server.connects = [slow, None, AWAY]
    late = asyncio.create_task(pool.run("a", in_time()))
    await iterations(3)
    assert await pool.run("b", in_time()) == "b on 0"
    server.closed = {0}
    slow.set()
    with capture_logs() as logs, pytest.raises(Unreached):
        await late
    assert logs == []
    assert await pool.run("c", in_time()) == "c on 1"


async def test_connections_that_say_goodbye_hold_a_place(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_idle(pool, server)
    server.slow_end = asyncio.Event()
    with monkeypatch.context() as patched:
        patched.setattr(pools, "LONGEST_IDLE_SECONDS", -1.0)
        await pool.run("c", in_time())
    gates = [asyncio.Event(), asyncio.Event()]
    server.acts = [*gates]
    held = [asyncio.create_task(pool.run(name, in_time())) for name in "de"]
    await iterations(5)
    open_now = sum(not line.ended for line in server.lines)
    assert open_now <= 2
    server.slow_end.set()
    for gate in gates:
        gate.set()
    await asyncio.gather(*held)


async def test_a_connection_given_back_while_another_is_made_is_kept(
    pool: Pool[str, str], server: Server
) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    server.acts, server.connects = [gates[0]], [None, gates[1]]
    first = asyncio.create_task(pool.run("a", in_time()))
    await iterations(3)
    second = asyncio.create_task(pool.run("b", in_time()))
    await iterations(3)
    gates[0].set()
    await first
    gates[1].set()
    assert await second == "b on 1"
    assert not server.lines[0].ended
