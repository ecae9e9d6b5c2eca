"""Connections to a database server: bounded in number, checked before use, ended when in doubt.

A connection serves one statement at a time and is used again only after the server responded. If
a statement is given up, its connection is cut off: a late response would go to another statement.

*The server accepts no more connections.* The open ones serve all statements. A statement that finds
no idle connection waits for one.

*The server is unreachable.* After a failed attempt to connect, all statements fail at once until
the back-off is over.

*A statement failed.* The pool sends it again in three cases: it lost against another transaction,
its connection had broken before it was sent, or it is a read whose connection broke.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import structlog

from guidkeep.stores.remote.failures import InDoubt, NotSent, Refused, Unreached, judge, unreached
from guidkeep.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from typing import Any

    from guidkeep.stores.remote.failures import Codes, Failure, Report

log = structlog.get_logger("guidkeep.stores")

Statement = TypeVar("Statement")
Result = TypeVar("Result")
Statement_contra = TypeVar("Statement_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)

IDLE_SECONDS = 5.0
"""A connection idle for longer is tested before use: a router on the way may have forgotten it."""
LONGEST_IDLE_SECONDS = 60.0
"""A connection idle for longer is closed."""
PING_SECONDS = 1.0
CLOSE_SECONDS = 1.0
ABORT_SECONDS = 0.1
"""The time after its deadline in which a cancelled statement must end. Then its connection is
aborted: asyncpg may ignore a cancellation while it sends several runs, and wait for ever."""
RETRIES = 4
"""The number of times that a statement is sent again at most."""
RECONNECT = Backoff(first=0.05, longest=1.0)
"""Pauses between attempts to connect."""
RESEND = Backoff(first=0.01, longest=0.04, spread=1.0)
"""Pauses before a statement is sent again."""


class Connection(ABC, Generic[Statement_contra, Result_co]):
    """A connection to the server.

    Attributes:
        since: the time of its last use, by the event loop's clock.
        sent: the number of statements so far that may have reached the server.
    """

    since = 0.0

    @property
    @abstractmethod
    def sent(self) -> int:
        """See the class."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Whether it is known to be closed."""

    @abstractmethod
    async def run(self, statement: Statement_contra) -> Result_co:
        """Runs a statement; raises an error of the driver, or a Failure."""

    @abstractmethod
    async def ping(self) -> None:
        """Returns when the server has responded."""

    @abstractmethod
    async def leave(self) -> None:
        """Closes the connection properly; no statement is under way."""

    @abstractmethod
    def abort(self) -> None:
        """Closes the socket at once, so that a statement under way fails; raises nothing."""

    @abstractmethod
    async def cut(self) -> None:
        """Ends the connection at once, even with a statement under way; raises nothing."""


class Driver(Protocol[Statement_contra, Result_co]):
    """Makes connections, and reports the facts about their errors."""

    codes: Codes

    async def connect(self, until: float) -> Connection[Statement_contra, Result_co]:
        """Makes a connection that is ready for statements.

        Args:
            until: the event loop's time at which the attempt is given up.

        Raises:
            Exception: an error that `report` understands, TimeoutError included.
        """
        ...

    def report(self, error: Exception) -> Report:
        """Returns the facts about the error."""
        ...


class Pool(Generic[Statement, Result]):
    """See the module's text.

    Args:
        driver: makes connections.
        size: the number of connections at most.
    """

    def __init__(self, driver: Driver[Statement, Result], *, size: int) -> None:
        self._driver = driver
        self._codes = driver.codes
        self._size = size
        self._room = asyncio.Semaphore(size)
        self._idle: list[Connection[Statement, Result]] = []  # the last used is the next to be used
        self._open = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._returned = asyncio.Event()
        self._broken_at = 0.0
        self._failures = 0
        self._not_before = 0.0
        self._reason: Report | None = None
        self._loop = asyncio.get_running_loop()

    async def run(self, statement: Statement, until: float, *, repeatable: bool = False) -> Result:
        """Runs one statement in its own transaction.

        Args:
            statement: the statement in the driver's form.
            until: the event loop's time at which it is given up.
            repeatable: whether it may run twice, as a read may.

        Raises:
            Failure: it failed, or no response came in time.
        """
        retry = 0
        while True:
            connection = await self._take(until)
            sent = connection.sent
            try:
                result = await self._run(connection, statement, until)
            except Exception as error:
                failure = judge(
                    self._driver.report(error), self._codes, sent=connection.sent > sent
                )
                self._after(connection, failure)
                safe = repeatable or not isinstance(failure, InDoubt)
                if retry >= RETRIES or not (failure.again and safe):
                    raise failure from error
            except BaseException:
                self._retire(connection)
                raise
            else:
                self._give_back(connection)
                return result
            await asyncio.sleep(RESEND.seconds(retry))
            retry += 1

    async def _run(
        self, connection: Connection[Statement, Result], statement: Statement, until: float
    ) -> Result:
        abort = self._loop.call_at(until + ABORT_SECONDS, connection.abort)
        try:
            async with asyncio.timeout_at(until) as limit:
                return await connection.run(statement)
        except Exception as error:
            if limit.expired() and not isinstance(error, TimeoutError):
                raise TimeoutError from error
            raise
        finally:
            abort.cancel()

    async def close(self) -> None:
        """Closes all connections. No statement is under way."""
        while self._idle:
            self._let_go(self._idle.pop())
        while self._ending:
            await asyncio.wait(self._ending)

    # A connection for a statement.

    async def _take(self, until: float) -> Connection[Statement, Result]:
        """Returns a connection that seems to work; it holds its place until it is given back."""
        if self._room.locked():
            await self._before(until, self._room.acquire())
        else:
            await self._room.acquire()
        try:
            connection = await self._ready(until)
        except BaseException:
            self._room.release()
            raise
        if self._loop.time() >= until:
            self._give_back(connection)
            raise NotSent("the time had run out before it was sent")
        return connection

    @staticmethod
    async def _before(until: float, waiting: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout_at(until):
                await waiting
        except TimeoutError as error:
            raise NotSent("no connection was free in time") from error

    async def _ready(self, until: float) -> Connection[Statement, Result]:
        """Returns an idle connection, or else a new one."""
        while True:
            while self._idle:
                connection = self._idle.pop()
                if await self._is_well(connection, until):
                    return connection
            returned = self._returned
            try:
                return await self._connect(until)
            except Unreached as failure:
                if failure.code not in self._codes.full or not self._open:
                    raise
            await self._before(until, returned.wait())

    async def _is_well(self, connection: Connection[Statement, Result], until: float) -> bool:
        now = self._loop.time()
        if connection.since > max(now - IDLE_SECONDS, self._broken_at):
            if not connection.is_closed:
                return True
            self._lost(connection)
            return False
        try:
            async with asyncio.timeout_at(min(until, now + PING_SECONDS)):
                await connection.ping()
        except Exception as error:  # noqa: BLE001 - after any error it is unusable
            self._lost(connection)
            if isinstance(error, TimeoutError):
                self._retire_idle()  # each might take as long
            return False
        except BaseException:
            self._lost(connection)
            raise
        return True

    async def _connect(self, until: float) -> Connection[Statement, Result]:
        now = self._loop.time()
        if self._reason is not None and now < self._not_before:
            raise unreached(self._reason, self._codes)
        if now >= until:  # not the server's fault, so no back-off
            raise NotSent("no time was left to connect")
        try:
            connection = await self._driver.connect(until)
        except Exception as error:
            raise self._put_off(error) from error
        if self._failures:
            log.info("store reachable again", attempts=self._failures)
        self._failures = 0
        self._reason = None
        self._open += 1
        return connection

    def _put_off(self, error: Exception) -> Unreached:
        """Notes a failed attempt to connect: there is no other until the back-off is over."""
        self._reason = self._driver.report(error)
        failure = unreached(self._reason, self._codes)
        if not self._failures:
            log.warning("store unreachable", error=str(failure), code=failure.code)
        self._not_before = self._loop.time() + RECONNECT.seconds(self._failures)
        self._failures += 1
        return failure

    def _after(self, connection: Connection[Statement, Result], failure: Failure) -> None:
        """Keeps the connection if the statement is over and the connection stays usable."""
        if isinstance(failure, Refused) and self._codes.keeps(failure.code):
            self._give_back(connection)
            return
        log.warning("connection to the store closed", error=str(failure), code=failure.code)
        self._broken_at = self._loop.time()
        self._retire(connection)
        if failure.code in self._codes.unfit:
            self._retire_idle()

    def _give_back(self, connection: Connection[Statement, Result]) -> None:
        connection.since = now = self._loop.time()
        self._idle.append(connection)
        self._room.release()
        self._wake()
        while self._idle and self._idle[0].since < now - LONGEST_IDLE_SECONDS:
            self._let_go(self._idle.pop(0))

    # The end of a connection.

    def _retire(self, connection: Connection[Statement, Result]) -> None:
        """Cuts it off. It holds its place until it has ended, so there are never too many."""
        self._end(connection.cut()).add_done_callback(lambda _: self._room.release())

    def _lost(self, connection: Connection[Statement, Result]) -> None:
        """Cuts off a connection that broke while idle; the others are tested before use."""
        self._broken_at = self._loop.time()
        self._end(connection.cut())

    def _retire_idle(self) -> None:
        """Cuts off the idle connections: their server can't serve at the moment."""
        while self._idle:
            self._end(self._idle.pop().cut())

    def _let_go(self, connection: Connection[Statement, Result]) -> None:
        self._end(_leave(connection))

    def _end(self, ending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        self._open -= 1
        self._wake()

    def _wake(self) -> None:
        """Wakes the statements that wait for a connection."""
        self._returned.set()
        self._returned = asyncio.Event()


async def _leave(connection: Connection[Any, Any]) -> None:
    with suppress(Exception):  # the connection may be lost already
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.leave()
    await connection.cut()
