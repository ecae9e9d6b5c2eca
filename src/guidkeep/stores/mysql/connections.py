"""Connections to a MySQL server: bounded in number, checked before use, closed when in doubt.

A connection serves one statement at a time and is used again only after the server answered. One
whose statement was given up is cut off: what it still carries belongs to nobody.

*Sent or not.* A write that never left may be said not to have happened; one that left and was not
answered may have. So every failure knows whether its statement may have reached the server. The
driver tells a connection that it finds closed before it writes (2006) from one that breaks later,
and a statement whose last byte was not written is never run: that one takes another connection.

*A server that takes no more connections*, for it has enough, is served with those that are open:
who finds none idle waits for one.

*A server that is away* is not asked over and over: after a failed attempt to connect all fail at
once for a moment, the longer the more attempts failed, at most a second.

*Several places* are nodes of one cluster, any of which may be written to. One is used until it
can't be, then the next that can be, in the URL's order, and so on round. A node of Galera's that
has lost the others, and a server that only reads, are as good as away.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from random import uniform
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from guidkeep.urls import driver

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from guidkeep.urls import Address

    Connection = Any
    """The driver's; it ships types, but none for what is used here."""

log = structlog.get_logger("guidkeep.stores.mysql")

IDLE_SECONDS = 5.0
"""After so long without use a connection is pinged first: a router in between may have lost it."""
PING_SECONDS = 1.0
QUIT_SECONDS = 1.0
LONGEST_PAUSE = 1.0
"""Seconds without an attempt to connect, at most."""

GONE = 2006
"""The driver's number for a connection that was closed before the statement was written."""
DUPLICATE = 1062
_FIRST_CODE = 1000
"""Smaller numbers are the operating system's."""
_OF_THE_CLIENT = range(2000, 3000)
"""Codes of the driver's own errors, which tell of connections."""
_UNKNOWN_VARIABLE = 1193
FULL = {1040, 1203, 1226}
"""Answers of a server that takes no more connections, or none of this user."""
LOCK_WAIT = 1205
"""Time-out of the wait for a lock."""
CONFLICTS = {1020, LOCK_WAIT, 1213, 9007}
"""Lost against another's statement and rolled back, so worth another try: row changed meanwhile,
lock wait time-out, deadlock (and failed certification, in Galera), TiDB's write conflict."""
DETACHED = 1047
"""Galera's: this node is not part of the cluster at the moment; nothing is begun."""
_REFUSED = {
    DETACHED,
    1054,  # no such column
    1114,  # the table is full
    1142,  # no privilege for the table
    1143,  # no privilege for a column
    1146,  # no such table
    1153,  # larger than max_allowed_packet
    1290,  # read_only, as on a replica
    1406,  # too long for its column
    1836,  # InnoDB is read-only
}
_KEPT = CONFLICTS | {DUPLICATE}
"""Errors after which the connection is as good as before. After others the next may be another
server: a replica that became the primary, say."""

_SETUP = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION autocommit = 1, sql_notes = 0",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "COMMIT",  # of nothing; a node of Galera's refuses it (1047) while it is not of the cluster
)
_ONLY_READS = "SELECT @@GLOBAL.read_only NOT IN ('0', 'OFF')"


class Failure(Exception):
    """A statement failed.

    Attributes:
        code: the server's number of the error, or the driver's (2000 to 2999); 0: there is none.
        sent: whether the statement may have reached the server.
    """

    def __init__(self, reason: str, *, code: int = 0, sent: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        self.sent = sent

    @property
    def is_answer(self) -> bool:
        """Whether it is the server that said so."""
        return self.code > 0 and self.code // 1000 != 2  # noqa: PLR2004 - see `code`

    @property
    def nothing_done(self) -> bool:
        """Whether it is certain that the statement changed nothing."""
        return not self.sent or self.code in _KEPT or self.code in _REFUSED


class Answer(NamedTuple):
    """What a statement gave: its rows, and how many it matched (changed or not)."""

    rows: Sequence[tuple[Any, ...]]
    matched: int


class _Idle(NamedTuple):
    connection: Connection
    since: float


class _Gone(Exception):
    """The connection had been closed before anything was written to it."""


class _OnlyReads(Exception):
    """It is one of several servers, and no writes are to go to it."""


class Connections:
    """See the module's text.

    Args:
        address: where the server is, or those of one cluster, and as whom to log in.
        size: connections at most.
        tls: how they are encrypted; None: they aren't.
        timeout: seconds after which the server may give a statement up.
    """

    def __init__(
        self, address: Address, *, size: int, tls: ssl.SSLContext | None, timeout: float
    ) -> None:
        self._connect = driver("asyncmy", extra="mysql").connect
        self._options = {
            "host": address.host,
            "port": address.port,
            "user": address.login,
            "password": address.password.encode(),
            "database": address.database,
            "charset": "utf8mb4",
            "autocommit": None,
            "client_flag": driver("asyncmy.constants.CLIENT", extra="mysql").FOUND_ROWS,
            "ssl": tls,
            "connect_timeout": max(timeout, 1.0),  # never met: the deadline comes first
        }
        # In seconds; each is left alone by a server that has no such variable.
        self._wishes: tuple[str, ...] = (
            f"SET SESSION max_statement_time = {min(timeout, 1e6):.3f}",
            f"SET SESSION innodb_lock_wait_timeout = {int(min(max(timeout / 2, 1), 1e6))}",
            "SET SESSION wsrep_sync_wait = 7",  # Galera: see all that any node answered before
        )
        self.is_encrypted = tls is not None
        self._hosts = address.places
        self._at = 0
        """Which of them is used."""
        self._size = size
        self._places = asyncio.Semaphore(size)
        self._idle: list[_Idle] = []
        self._open_ones = 0
        self._returned = asyncio.Event()
        self._broken_at = 0.0
        self._failures = 0
        self._not_before = 0.0
        self._reason: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self.largest = 1 << 24
        """Bytes of a statement at most: the server's max_allowed_packet."""

    async def run(self, statement: str, deadline: float) -> Answer:
        """Runs one statement, a transaction of its own.

        Args:
            statement: SQL, ASCII only.
            deadline: the loop's time at which it is given up.

        Raises:
            Failure: it failed, or was not answered in time.
        """
        if len(statement) >= self.largest:
            raise Failure(f"{len(statement)} bytes are more than max_allowed_packet allows")
        async with self._place(deadline):
            for _ in range(self._size + 1):  # as many as may have been closed meanwhile, and one
                connection = await self._ready(deadline)
                with suppress(_Gone):
                    return await self._ask(connection, statement, deadline)
        raise Failure("the server closes each connection at once")

    async def close(self) -> None:
        """Takes leave of the server. Nothing may be under way."""
        while self._idle:
            connection = self._idle.pop().connection
            with suppress(Exception):  # it was lost already
                async with asyncio.timeout(QUIT_SECONDS):
                    await connection.ensure_closed()
            self._drop(connection)

    @asynccontextmanager
    async def _place(self, deadline: float) -> AsyncIterator[None]:
        """One of the places for a connection."""
        await self._before(deadline, self._places.acquire())
        try:
            yield
        finally:
            self._places.release()

    @staticmethod
    async def _before(deadline: float, waiting: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await waiting
        except TimeoutError as error:
            raise Failure("no connection was free in time") from error

    async def _ready(self, deadline: float) -> Connection:
        """A connection that works as far as can be told, an idle one or a new one."""
        while True:
            while self._idle:
                idle = self._idle.pop()
                if await self._is_well(idle, deadline):
                    return idle.connection
            returned = self._returned
            try:
                return await self._open(deadline)
            except Failure as failure:
                if failure.code not in FULL or not self._open_ones:
                    raise
            await self._before(deadline, returned.wait())

    async def _is_well(self, idle: _Idle, deadline: float) -> bool:
        now = self._loop.time()
        if idle.since > max(now - IDLE_SECONDS, self._broken_at):
            return True
        try:
            async with asyncio.timeout_at(min(deadline, now + PING_SECONDS)):
                await idle.connection.ping(reconnect=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, it does not work
            self._lost(idle.connection, error)
            if isinstance(error, TimeoutError):
                self._retire()  # rather than wait as long for each
            return False
        return True

    async def _open(self, deadline: float) -> Connection:
        if self._loop.time() < self._not_before:
            raise self._refusal("the server can't be reached", self._reason)
        if self._loop.time() >= deadline:  # which is not the server's fault
            raise Failure("no time was left to connect")
        try:
            connection = await self._somewhere(deadline)
        except Exception as error:
            raise self._put_off(error) from error
        if self._failures:
            log.info("store reachable again", attempts=self._failures)
        self._failures = 0
        self._open_ones += 1
        return connection

    async def _somewhere(self, deadline: float) -> Connection:
        """One to the host that is used, or else to the next that can be."""
        full: Exception | None = None
        for untried in range(len(self._hosts), 1, -1):
            now = self._loop.time()
            try:
                return await self._try(now + (deadline - now) / untried)
            except Exception as error:  # noqa: BLE001 - whatever it is, it can't be used
                full = error if _code(error) in FULL else full
                if not self._failures:
                    log.warning("store host passed over", error=_text(error))
        try:
            return await self._try(deadline)
        except Exception as error:
            # Where there will be room again, who came too late waits for it.
            raise full or error from error

    async def _try(self, deadline: float) -> Connection:
        at = self._at
        try:
            async with asyncio.timeout_at(deadline):
                return await self._new(*self._hosts[at])
        except Exception:
            if self._at == at:  # nobody else has moved on meanwhile
                self._at = (at + 1) % len(self._hosts)
            raise

    async def _new(self, host: str, port: int) -> Connection:
        where = {"host": host, "port": port}
        connection: Connection = await self._connect(**self._options | where)
        try:
            await self._set_up(connection)
        except BaseException:
            _cut(connection)
            raise
        return connection

    async def _set_up(self, connection: Connection) -> None:
        for statement in _SETUP:
            await connection.query(statement)
        for wish in self._wishes:
            await self._wish(connection, wish)
        if len(self._hosts) > 1:
            await connection.query(_ONLY_READS)
            if connection._result.rows[0][0]:  # noqa: SLF001 - see `_ask`
                raise _OnlyReads("it only reads")

    @staticmethod
    async def _wish(connection: Connection, statement: str) -> None:
        try:
            await connection.query(statement)
        except Exception as error:
            if _code(error) != _UNKNOWN_VARIABLE:
                raise

    def _put_off(self, error: Exception) -> Failure:
        """Notes that an attempt to connect failed: none is made for a moment."""
        if not self._failures:
            log.warning("store unreachable", error=_text(error))
        self._failures += 1
        pause = min(LONGEST_PAUSE, 0.02 * 2 ** min(self._failures, 10))
        self._not_before = self._loop.time() + pause * uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._reason = error
        return self._refusal("can't connect", error)

    @staticmethod
    def _refusal(what: str, error: Exception | None) -> Failure:
        return Failure(f"{what}: {_text(error)}", code=_code(error))

    async def _ask(self, connection: Connection, statement: str, deadline: float) -> Answer:
        try:
            async with asyncio.timeout_at(deadline):
                # Not by a cursor: that may ask for warnings, and fail after the statement was done.
                matched = await connection.query(statement)
                answer = Answer(connection._result.rows or (), matched)  # noqa: SLF001 - see above
        except Exception as error:
            code = _code(error)
            if code in _KEPT:
                self._give_back(connection)
            else:
                self._lost(connection, error)
            if code == DETACHED:
                self._retire()
            if code == GONE:
                raise _Gone from error
            raise Failure(_text(error), code=code, sent=True) from error
        except BaseException:
            self._drop(connection)
            raise
        self._give_back(connection)
        return answer

    def _give_back(self, connection: Connection) -> None:
        self._idle.append(_Idle(connection, self._loop.time()))
        self._wake()

    def _lost(self, connection: Connection, error: Exception) -> None:
        """Cuts it off, and has the others checked before they are used."""
        log.warning("connection to the store closed", error=_kind(error), code=_code(error))
        self._broken_at = self._loop.time()
        self._drop(connection)

    def _retire(self) -> None:
        """Cuts off those that are idle: their server is of no use at the moment."""
        while self._idle:
            self._drop(self._idle.pop().connection)

    def _drop(self, connection: Connection) -> None:
        self._open_ones -= 1
        _cut(connection)
        self._wake()

    def _wake(self) -> None:
        """Has those look again who wait for a connection."""
        self._returned.set()
        self._returned = asyncio.Event()


def _cut(connection: Connection) -> None:
    """Closes it on the spot. A plain close would first send what is left to a server that hangs."""
    transport = connection._transport  # noqa: SLF001 - the driver has no other way
    if transport is not None:
        transport.abort()
    connection.close()


def _code(error: Exception | None) -> int:
    code = error.args[0] if error is not None and error.args else 0
    return code if isinstance(code, int) and code >= _FIRST_CODE else 0


def _kind(error: Exception) -> str:
    """The error for a log. A server's answer may quote a statement's values: its name alone."""
    code = _code(error)
    is_answer = code and code not in _OF_THE_CLIENT
    return type(error).__name__ if is_answer else _text(error)


def _text(error: Exception | None) -> str:
    if error is None or isinstance(error, TimeoutError):
        return "no answer in time"
    return ": ".join(map(str, error.args)) or repr(error)
