"""Connections to PostgreSQL, and what a failure on one of them says of the statement it ran.

*Nothing of the session is used.* A proxy that pools transactions gives each of them whatever
connection of the server's is free, so every statement is sent with its text, under no name, and
stands alone. The driver would ask for the types of a statement first and send it afterwards: two
round trips. A connection therefore keeps what it was told the first time, and asks no more. Types
that the driver does not know by itself cost further questions, and a change of session settings
behind the proxy's back: parameters are of bytea, bigint, text and text[] only.

*What a failure means.* A write either was refused, or never left, or nobody knows:

- `Refused`: the server answered with an error. Its transaction is undone.
- `NotSent`: there was no connection, or it was lost before the statement left.
- `InDoubt`: the statement left, and no answer came. It may have been done, or may be yet.

A connection on which a statement was given up is ended and never used again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from guidkeep.urls import driver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

asyncpg = driver("asyncpg", extra="postgresql")

log = structlog.get_logger("guidkeep.stores.postgresql")

MAX_IDLE = 60.0
"""Seconds after which an unused connection is not used again: a firewall may have forgotten it."""
FIRST_PAUSE = 0.05
LAST_PAUSE = 1.0
"""Seconds without another try after a connection was refused: doubled each time, up to this."""
CLOSE_SECONDS = 1.0
"""How long the server may take to give up a statement and say goodbye."""

_ENDED_BEFORE = {"57P01", "57P04", "57P05", "25P03"}
"""Codes with which the server ends a connection whose transaction it has not committed: it is
shut down, the database is dropped, the session was idle for too long."""
_DOUBTFUL = ("08", "40003", "58", "XX")
"""Codes, or how they begin, of errors that may come after a commit: where the server is itself a
client of others (Citus, YugabyteDB, a proxy), or says that it can't tell (CockroachDB)."""


class Failure(Exception):
    """A statement failed; the cause is the driver's error, if it was one of its."""


class NotSent(Failure):
    """The statement never left: nothing was written."""


class Refused(Failure):
    """The server answered with an error: nothing was written.

    Attributes:
        code: the error's SQLSTATE.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class InDoubt(Failure):
    """The statement left and no answer came: it may have been done, or may be yet."""


class _Connection:
    """A connection and the statements that it knows the types of."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.since = 0.0
        self.used = False
        self._statements: dict[str, Any] = {}
        self._protocol = raw._protocol  # noqa: SLF001 - nothing public tells what was sent

    @property
    def sent(self) -> int:
        """How many statements have been sent, for execution, since it was made."""
        count: int = self._protocol.queries_count
        return count

    async def statement(self, text: str, until: float) -> Any:
        """The statement, ready to be sent.

        Its first asking for the types leaves a proxy waiting for the statement itself, which
        must follow at once; or the connection must be ended.
        """
        if text not in self._statements:
            self._statements[text] = await self.raw.prepare(text, timeout=_left(until))
        return self._statements[text]


class Pool:
    """So many connections at most, made when they are needed and replaced when they break.

    Args:
        connect: makes one, within so many seconds.
        size: how many there may be.
    """

    def __init__(self, connect: Callable[[float], Awaitable[Any]], *, size: int) -> None:
        self._connect = connect
        self._room = asyncio.Semaphore(size)
        self._idle: list[_Connection] = []  # the one used last is the next to be used
        self._retiring: set[asyncio.Task[None]] = set()
        self._pause = 0.0
        self._not_before = 0.0

    async def fetch(
        self, text: str, *arguments: Any, until: float, repeatable: bool = False
    ) -> Sequence[Any]:
        """Runs a statement and returns its rows.

        Args:
            text: the statement.
            arguments: its parameters.
            until: when it is given up, in the loop's time.
            repeatable: whether it is the same to do it twice, as a read is.

        Raises:
            Failure: see the module's text.
        """
        return await self._run(
            text, lambda ready, left: ready.fetch(*arguments, timeout=left), until, repeatable
        )

    async def fetch_each(
        self, text: str, rows: Sequence[Sequence[Any]], *, until: float
    ) -> Sequence[Any]:
        """Runs a statement for each of the rows in turn, all in one transaction and one trip.

        Raises:
            Failure: see the module's text.
        """
        return await self._run(
            text, lambda ready, left: ready.fetchmany(rows, timeout=left), until, repeatable=False
        )

    async def close(self) -> None:
        """Closes all connections; nobody uses one any more."""
        while self._idle:
            self._spawn(end(self._idle.pop().raw))
        while self._retiring:
            await asyncio.wait(self._retiring)

    async def _run(
        self,
        text: str,
        send: Callable[[Any, float], Awaitable[Sequence[Any]]],
        until: float,
        repeatable: bool,
    ) -> Sequence[Any]:
        """Runs it; once more if all that failed was a connection that had been idle."""
        while True:
            connection = await self._take(until)
            was_used, sent_before = connection.used, connection.sent
            try:
                ready = await connection.statement(text, until)
                rows: Sequence[Any] = await send(ready, _left(until))
            except Exception as error:
                failure = _failure(error, sent=connection.sent > sent_before)
                self._after(connection, failure)
                harmless = repeatable or isinstance(failure, NotSent)
                if was_used and harmless and _is_lost(error) and _has_time(until):
                    continue
                raise failure from error
            except BaseException:
                self._retire(connection)
                raise
            self._give_back(connection)
            return rows

    async def _take(self, until: float) -> _Connection:
        try:
            async with asyncio.timeout_at(until):
                await self._room.acquire()
        except TimeoutError as error:
            raise NotSent("no connection became free in time") from error
        try:
            return self._idle_one() or await self._new(until)
        except BaseException:
            self._room.release()
            raise

    def _idle_one(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.since >= _now() - MAX_IDLE and not connection.raw.is_closed():
                return connection
            self._spawn(end(connection.raw))
        return None

    async def _new(self, until: float) -> _Connection:
        if _now() < self._not_before:
            raise NotSent("the server could not be reached a moment ago")
        try:
            connection = _Connection(await self._connect(_left(until)))
        except NotSent:
            raise
        except Exception as error:
            if not self._pause:
                log.warning("postgresql is unreachable", error=repr(error))
            self._pause = min(max(2 * self._pause, FIRST_PAUSE), LAST_PAUSE)
            self._not_before = _now() + self._pause
            raise NotSent(f"the server can't be reached: {error!r}") from error
        if self._pause:
            log.info("postgresql is reachable again")
        self._pause = 0.0
        return connection

    def _after(self, connection: _Connection, failure: Failure) -> None:
        """Keeps the connection only if the server has finished with the statement."""
        if isinstance(failure, Refused):
            self._give_back(connection)
        else:
            self._retire(connection)

    def _give_back(self, connection: _Connection) -> None:
        connection.used = True
        connection.since = _now()
        self._idle.append(connection)
        self._room.release()
        while self._idle and self._idle[0].since < _now() - MAX_IDLE:
            old = self._idle.pop(0)
            self._spawn(end(old.raw))

    def _retire(self, connection: _Connection) -> None:
        """Ends it; until it is closed its place is taken, so that there are never too many."""
        task = self._spawn(end(connection.raw))
        task.add_done_callback(lambda _: self._room.release())

    def _spawn(self, ending: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(ending)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return task


async def end(raw: Any) -> None:
    """Lets the server give up what it still does there, and closes the connection."""
    try:
        await raw.close(timeout=CLOSE_SECONDS)
    except Exception:  # noqa: BLE001 - whatever it is, the connection goes
        raw.terminate()


def _failure(error: Exception, *, sent: bool) -> Failure:
    """What the driver's error says of the statement."""
    if isinstance(error, Failure):
        return error
    message = _told(error)
    if isinstance(error, asyncpg.ConnectionDoesNotExistError):
        last_words = getattr(error.__cause__, "sqlstate", None)
        certain = not sent or last_words in _ENDED_BEFORE
        return NotSent(message) if certain else InDoubt(message)
    if is_answer(error):
        code = str(getattr(error, "sqlstate", "XX000"))
        doubtful = sent and code.startswith(_DOUBTFUL)
        return InDoubt(message) if doubtful else Refused(message, code)
    return InDoubt(message) if sent else NotSent(message)


def _told(error: Exception) -> str:
    """The error for a log. Of what quotes a statement's values, the name and the code alone."""
    if isinstance(error, OSError | asyncpg.ConnectionDoesNotExistError):
        return repr(error)
    code = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__


def is_answer(error: Any) -> bool:
    """Whether it came from the server: the driver has errors of the same kind of its own."""
    return isinstance(error, asyncpg.PostgresError) and bool(getattr(error, "severity", None))


def _is_lost(error: Exception) -> bool:
    """Whether the connection broke, rather than the time ran out or the server refused."""
    return not isinstance(error, TimeoutError) and isinstance(
        error,
        OSError
        | asyncpg.ConnectionDoesNotExistError
        | asyncpg.InterfaceError
        | asyncpg.InternalClientError,  # the server has said goodbye, and is about to hang up
    )


def _now() -> float:
    return asyncio.get_running_loop().time()


def _has_time(until: float) -> bool:
    return _now() < until


def _left(until: float) -> float:
    """Seconds that are left; raises NotSent if there are none."""
    left = until - _now()
    if left <= 0:
        raise NotSent("the time had run out before it was sent")
    return left
