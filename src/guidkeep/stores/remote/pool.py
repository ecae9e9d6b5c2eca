"""Connections to a database server: bounded in number, checked before use, ended when in doubt.

A connection serves one statement at a time and is used again only after the server responded. If
a statement is given up, its connection is cut off: a late response would go to another statement.

*The server accepts no more connections.* The open ones serve all statements. A statement that finds
no idle connection waits for one, first come, first served. When the back-off is over, it also tries
to connect again.

*The server is unreachable.* After a failed attempt to connect, all statements fail at once until
the back-off is over. A statement with little time left proves nothing about the server: if its own
time ends the attempt, there is no back-off.

*A statement failed.* The pool sends it again in three cases: it lost against another transaction,
its connection had broken before it was sent, or it is a read whose connection broke.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

from guidkeep.stores.remote.failures import InDoubt, NotSent, Refused, Unreached, judge, unreached
from guidkeep.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from guidkeep.stores.remote.adapter import Adapter, Connection
    from guidkeep.stores.remote.failures import Failure, Report

log = structlog.get_logger(__name__)

Statement = TypeVar("Statement")
Result = TypeVar("Result")

IDLE_SECONDS = 5.0
"""A connection idle for longer is tested before use: a router on the way may have forgotten it."""
LONGEST_IDLE_SECONDS = 60.0
"""A connection idle for longer is closed."""
PING_SECONDS = 1.0
"""The time that a server has at most to respond to a test, or to a new connection, before the pool
counts it as silent. A third of the store's timeout if that is shorter: time to connect is left."""
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


class Pool(Generic[Statement, Result]):
    """See the module's text.

    Args:
        adapter: makes connections.
        size: the number of connections at most.
        timeout: seconds that a statement has, unless it waited before.
    """

    def __init__(self, adapter: Adapter[Statement, Result], *, size: int, timeout: float) -> None:
        self._adapter = adapter
        self._codes = adapter.codes
        self._patience = min(PING_SECONDS, timeout / 3)
        self._room = asyncio.Semaphore(size)
        self._idle: list[Connection[Statement, Result]] = []  # the last used is the next to be used
        self._open = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._waiters: dict[asyncio.Future[Connection[Statement, Result]], None] = {}
        self._broken_at = 0.0
        self._failures = 0
        self._attempts_judged = 0
        self._not_before = 0.0
        self._reason: Report | None = None
        self._loop = asyncio.get_running_loop()

    async def run(
        self, statement: Statement, deadline: float, *, repeatable: bool = False
    ) -> Result:
        """Runs one statement in its own transaction.

        Args:
            statement: the statement in the adapter's form.
            deadline: the event loop's time at which it is given up.
            repeatable: whether it may run twice, as a read may.

        Raises:
            Failure: it failed, or no response came in time.
        """
        retry = 0
        while True:
            connection = await self._take(deadline)
            sent = connection.sent
            try:
                result = await self._run(connection, statement, deadline)
            except Exception as error:
                failure = judge(
                    self._adapter.report(error), self._codes, sent=connection.sent > sent
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
        self, connection: Connection[Statement, Result], statement: Statement, deadline: float
    ) -> Result:
        abort = self._loop.call_at(deadline + ABORT_SECONDS, connection.abort)
        try:
            async with asyncio.timeout_at(deadline) as limit:
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
            self._end(_leave(self._idle.pop()))
        while self._ending:
            await asyncio.wait(self._ending)

    # A connection for a statement.

    async def _take(self, deadline: float) -> Connection[Statement, Result]:
        """Returns a connection that seems to work; it holds its place until it is given back."""
        if self._room.locked():
            await self._place(deadline)
        else:
            await self._room.acquire()
        try:
            connection = await self._ready(deadline)
        except BaseException:
            self._room.release()
            raise
        if self._loop.time() >= deadline:
            self._give_back(connection)
            raise NotSent("the time had run out before it was sent", is_timeout=True)
        return connection

    async def _place(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._room.acquire()
        except TimeoutError as error:
            raise _none_was_free() from error

    async def _ready(self, deadline: float) -> Connection[Statement, Result]:
        """Returns an idle connection, or else a new one, or else one that becomes free."""
        waited = False
        while True:
            silent = False
            while self._idle and not silent:  # after a silent one, each might take as long
                connection = self._idle.pop()
                try:
                    if await self._is_well(connection, deadline):
                        return connection
                except TimeoutError:
                    silent = True
            try:
                connection = await self._connect(deadline)
            except Unreached as failure:
                if failure.code not in self._adapter.full or not (self._open or waited):
                    raise
            else:
                if silent:  # the server responds, so the way to it has lost the old connections
                    self._drop_idle()
                return connection
            waited = True
            free = await self._free(deadline)
            if free is not None:
                return free

    async def _free(self, deadline: float) -> Connection[Statement, Result] | None:
        """Waits for a connection that a statement gives back; None: the back-off is over.

        The connection is handed over. If it lay idle until this task runs, another statement might
        take it each time.
        """
        end = min(deadline, self._not_before)
        waiter = self._loop.create_future()
        self._waiters[waiter] = None
        try:
            await asyncio.wait([waiter], timeout=max(0.0, end - self._loop.time()))
        except BaseException:
            if waiter.done():
                self._hand_on(waiter.result())
            raise
        finally:
            self._waiters.pop(waiter, None)
        if waiter.done():
            connection: Connection[Statement, Result] = waiter.result()
            return connection
        if end == deadline:
            raise _none_was_free()
        return None

    async def _is_well(self, connection: Connection[Statement, Result], deadline: float) -> bool:
        """Tests a connection that may be broken.

        Raises:
            TimeoutError: it is silent.
            NotSent: the statement's time ran out first, which says nothing of other connections.
        """
        now = self._loop.time()
        if connection.since > max(now - IDLE_SECONDS, self._broken_at):
            if not connection.is_closed:
                return True
            self._lost(connection)
            return False
        end = now + self._patience
        try:
            async with asyncio.timeout_at(min(deadline, end)):
                await connection.ping()
        except TimeoutError as error:
            self._drop(connection)  # the response may still come
            if deadline < end:
                raise NotSent("no time was left to test a connection", is_timeout=True) from error
            raise
        except Exception:  # noqa: BLE001 - after any error it is unusable
            self._lost(connection)
            return False
        except BaseException:
            self._drop(connection)
            raise
        return True

    async def _connect(self, deadline: float) -> Connection[Statement, Result]:
        now = self._loop.time()
        if self._reason is not None and now < self._not_before:
            raise unreached(self._reason, self._codes)
        if now >= deadline:
            raise _no_time_to_connect()
        judged = self._attempts_judged
        try:
            connection = await self._adapter.connect(deadline)
        except Exception as error:
            report = self._adapter.report(error)
            if report.is_timeout and deadline - now < self._patience:
                raise _no_time_to_connect() from error
            if judged == self._attempts_judged:  # else a newer result is known
                self._put_off(report)
            raise unreached(report, self._codes) from error
        if self._failures:
            log.info("store reachable again", attempts=self._failures)
        self._attempts_judged += 1
        self._failures = 0
        self._reason = None
        self._open += 1
        return connection

    def _put_off(self, report: Report) -> None:
        """Notes a failed attempt to connect: there is no other until the back-off is over.

        Of several attempts at once only the first to fail counts.
        """
        self._reason = report
        if not self._failures:
            failure = unreached(report, self._codes)
            log.warning("store unreachable", error=str(failure), code=failure.code)
        self._not_before = self._loop.time() + RECONNECT.seconds(self._failures)
        self._attempts_judged += 1
        self._failures += 1

    def _after(self, connection: Connection[Statement, Result], failure: Failure) -> None:
        """Keeps the connection if the statement is over and the connection stays usable."""
        if isinstance(failure, Refused) and self._adapter.keeps(failure.code):
            self._give_back(connection)
            return
        log.warning("connection to the store closed", error=str(failure), code=failure.code)
        self._broken_at = self._loop.time()
        self._retire(connection)
        if failure.code in self._adapter.unfit:
            self._drop_idle()

    def _give_back(self, connection: Connection[Statement, Result]) -> None:
        connection.since = now = self._loop.time()
        self._hand_on(connection)
        unused = now - LONGEST_IDLE_SECONDS
        if self._idle and self._idle[0].since < unused:
            self._end_in_place(self._leave_unused(unused))
        else:
            self._room.release()

    def _hand_on(self, connection: Connection[Statement, Result]) -> None:
        """Gives the connection to the statement that waits longest, if one waits."""
        if self._waiters:
            waiter = next(iter(self._waiters))
            del self._waiters[waiter]
            waiter.set_result(connection)
        else:
            self._idle.append(connection)

    # The end of a connection. It holds a place until it has ended, so there are never too many.

    def _retire(self, connection: Connection[Statement, Result]) -> None:
        """Ends it with the statement under way."""
        self._open -= 1
        self._end_in_place(connection.cut())

    def _lost(self, connection: Connection[Statement, Result]) -> None:
        """Ends a connection that broke while idle; the others are tested before use."""
        self._broken_at = self._loop.time()
        self._drop(connection)

    def _drop(self, connection: Connection[Statement, Result]) -> None:
        """Ends it at once; no statement is under way."""
        self._open -= 1
        connection.abort()

    def _drop_idle(self) -> None:
        """Ends the idle connections at once: they, or their server, can't be used."""
        while self._idle:
            self._drop(self._idle.pop())

    async def _leave_unused(self, since: float) -> None:
        """Closes, one by one, the connections that were not used since then."""
        while self._idle and self._idle[0].since < since:
            self._open -= 1
            await _leave(self._idle.pop(0))

    def _end_in_place(self, ending: Coroutine[Any, Any, None]) -> None:
        self._end(ending).add_done_callback(lambda _: self._room.release())

    def _end(self, ending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task


async def _leave(connection: Connection[Any, Any]) -> None:
    with suppress(Exception):  # the connection may be lost already
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.leave()
    connection.abort()


def _none_was_free() -> NotSent:
    return NotSent("no connection was free in time", is_timeout=True)


def _no_time_to_connect() -> NotSent:
    return NotSent("no time was left to connect", is_timeout=True)
