"""An adapter whose server is scripted by the test."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from guidkeep.stores.mysql.adapter import Adapter
from guidkeep.stores.remote.adapter import Connection
from guidkeep.stores.remote.failures import Report
from tests.support import iterations

if TYPE_CHECKING:
    from guidkeep.stores.remote.pool import Pool

SOON = 60.0


class Said(Exception):
    """An error of the driver, with the report about it."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.text)
        self.report = report


LOST = Said(Report("lost", is_lost=True))
DEADLOCK = Said(Report("deadlock", "1213", is_response=True))
FULL = Said(Report("too many", "1040", is_response=True))
AWAY = Said(Report("refused", is_temporary=True))
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
        if self.server.slow_end is not None:
            await self.server.slow_end.wait()

    def abort(self) -> None:
        self.ended = True
        self.aborted.set()

    async def cut(self) -> None:
        self.abort()
        if self.server.slow_end is not None:
            await self.server.slow_end.wait()


class Server:
    """The server, as its adapter."""

    codes = Adapter.codes
    full = Adapter.full
    unfit = Adapter.unfit
    keeps = staticmethod(Adapter.keeps)

    def __init__(self) -> None:
        self.acts: list[str | Said | asyncio.Event] = []
        self.connects: list[Said | asyncio.Event | None] = []
        self.lines: list[Line] = []
        self.attempts = 0
        self.done: list[str] = []
        self.pinged: list[int] = []
        self.dead: set[int] = set()
        self.silent: set[int] = set()
        self.closed: set[int] = set()
        self.slow_end: asyncio.Event | None = None

    async def connect(self, deadline: float) -> Line:
        self.attempts += 1
        act = self.connects.pop(0) if self.connects else None
        if isinstance(act, asyncio.Event):
            async with asyncio.timeout_at(deadline):
                await act.wait()
            act = self.connects.pop(0) if self.connects else None
        if isinstance(act, Said):
            raise act
        line = Line(self, len(self.lines))
        self.lines.append(line)
        return line

    def report(self, error: Exception) -> Report:
        if isinstance(error, Said):
            return error.report
        assert isinstance(error, TimeoutError)
        return Report("no response in time", is_timeout=True)


def in_time(seconds: float = SOON) -> float:
    return asyncio.get_running_loop().time() + seconds


async def two_idle(pool: Pool[str, str], server: Server) -> None:
    """Leaves two connections idle; the next statement takes number 0."""
    gate = asyncio.Event()
    server.acts = [gate]
    held = asyncio.create_task(pool.run("a", in_time()))
    await iterations(3)
    await pool.run("b", in_time())
    gate.set()
    await held
