"""The pool, on a driver whose server is scripted by the test."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from guidkeep.stores.mysql.driver import CODES
from guidkeep.stores.remote import pool as pools
from guidkeep.stores.remote.failures import InDoubt, NotSent, Refused, Report, Unreached
from guidkeep.stores.remote.pool import RECONNECT, RETRIES, Connection, Pool
from guidkeep.system.backoff import Backoff
from tests.support import iterations, until

if TYPE_CHECKING:
    from collections.abc import Callable

    Act = Callable[["Line"], object]

SOON = 60.0


class Said(Exception):
    """An error of the driver, with the report about it."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.text)
        self.report = report


LOST = Said(Report("lost", is_lost=True))
DEADLOCK = Said(Report("deadlock", "1213", is_response=True))
FULL = Said(Report("too many", "1040", is_response=True))
AWAY = Said(Report("refused", is_passing=True))
READ_ONLY = Said(Report("read only", "1290", is_response=True))


class Line(Connection[str, str]):
    """A connection on which the server runs the acts of `Server.acts`, one for each statement."""

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self.number = number
        self.count = 0
        self.ended = False
        self.said_goodbye = False
        self.aborted = asyncio.Event()

    @property
    def sent(self) -> int:
        return self.count

    @property
    def is_closed(self) -> bool:
        return self.number in self.server.closed

    async def run(self, statement: str) -> str:
        assert not self.ended, "used after its end"
        act = self.server.acts.pop(0) if self.server.acts else "ok"
        if act == "before":
            raise LOST
        self.count += 1
        self.server.done.append(statement)
        if isinstance(act, asyncio.Event):
            await act.wait()
        if act == "deaf":
            try:
                await self.aborted.wait()
            except asyncio.CancelledError:
                await self.aborted.wait()
            raise LOST
        if isinstance(act, Said):
            raise act
        return f"{statement} on {self.number}"

    async def ping(self) -> None:
        self.server.pinged.append(self.number)
        if self.number in self.server.dead:
            raise LOST
        if self.number in self.server.silent:
            await asyncio.Event().wait()

    async def leave(self) -> None:
        self.said_goodbye = True

    def abort(self) -> None:
        self.aborted.set()

    async def cut(self) -> None:
        self.ended = True
        if self.server.slow_end is not None:
            await self.server.slow_end.wait()


class Server:
    """The server, as its driver."""

    codes = CODES

    def __init__(self) -> None:
        self.acts: list[str | Said | asyncio.Event] = []
        self.connects: list[Said | None] = []
        self.lines: list[Line] = []
        self.attempts = 0
        self.done: list[str] = []
        self.pinged: list[int] = []
        self.dead: set[int] = set()
        self.silent: set[int] = set()
        self.closed: set[int] = set()
        self.slow_end: asyncio.Event | None = None

    async def connect(self, until: float) -> Line:
        self.attempts += 1
        failure = self.connects.pop(0) if self.connects else None
        if failure is not None:
            raise failure
        line = Line(self, len(self.lines))
        self.lines.append(line)
        return line

    def report(self, error: Exception) -> Report:
        return error.report if isinstance(error, Said) else Report("no response in time")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "RESEND", Backoff(0.0, 0.0))


def in_time(seconds: float = SOON) -> float:
    return asyncio.get_running_loop().time() + seconds


@pytest.fixture
async def pool(server: Server) -> Pool[str, str]:
    return Pool(server, size=2)


async def two_idle(pool: Pool[str, str], server: Server) -> None:
    """Leaves two connections idle; the next statement takes number 0."""
    gate = asyncio.Event()
    server.acts = [gate]
    held = asyncio.create_task(pool.run("a", in_time()))
    await iterations(3)
    await pool.run("b", in_time())
    gate.set()
    await held


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


async def test_a_full_server_is_used_through_the_open_connections(
    pool: Pool[str, str], server: Server
) -> None:
    gate = asyncio.Event()
    server.acts, server.connects = [gate], [None, FULL, FULL]
    held = asyncio.create_task(pool.run("a", in_time()))
    await iterations(3)
    waiting = asyncio.create_task(pool.run("b", in_time()))
    await iterations(3)
    gate.set()
    assert await held == "a on 0"
    assert await waiting == "b on 0"


async def test_a_full_server_without_an_open_connection_is_unreachable(
    pool: Pool[str, str], server: Server
) -> None:
    server.connects = [FULL]
    with pytest.raises(Unreached):
        await pool.run("a", in_time())


@pytest.mark.parametrize("is_full", [False, True])
async def test_a_statement_that_gets_no_connection_in_time_was_not_sent(
    server: Server, is_full: bool
) -> None:
    pool = Pool(server, size=2 if is_full else 1)
    gate = asyncio.Event()
    server.acts, server.connects = [gate], [None, FULL]
    held = asyncio.create_task(pool.run("a", in_time()))
    await iterations(3)
    with pytest.raises(NotSent, match="no connection was free in time"):
        await pool.run("b", in_time(0.01))
    gate.set()
    await held
    assert await pool.run("c", in_time()) == "c on 0"


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
