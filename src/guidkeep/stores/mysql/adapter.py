"""Connections to MySQL and MariaDB over asyncmy, and the meaning of their errors.

*Sent or not.* The driver has its own code (2006) for a connection that was closed before it wrote
the statement. A server never runs a statement whose last byte was not written.

*Several hosts* are the servers of one cluster, all of them writable. The store uses one until it
fails, then the next one that works, in the URL's order, starting over at the end. A Galera node
that has lost the others, and a read-only server, count as failed.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from guidkeep.backends import driver
from guidkeep.stores.remote import adapter
from guidkeep.stores.remote.failures import Codes, Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guidkeep.urls import Address

log = structlog.get_logger(__name__)

GONE = "2006"
"""The driver's code for a connection that was closed before the statement was written."""
DUPLICATE = "1062"
DETACHED = "1047"
"""Galera: this node is not part of the cluster at the moment; it did not begin the statement."""
LOCK_WAIT = "1205"
"""The wait for a lock took too long: there is no time to wait again."""
_AGAIN = frozenset({"1020", "1213", "9007"})
"""Row changed meanwhile, deadlock (and failed certification, in Galera), TiDB's write conflict."""
CONFLICTS = _AGAIN | {LOCK_WAIT}
"""The statement lost against another and was rolled back."""
_FULL = frozenset({"1040", "1203", "1226"})
"""No more connections at all, or none for this user."""
_REFUSED = frozenset(
    {
        DETACHED,
        "1054",  # no such column
        "1114",  # the table is full
        "1142",  # no privilege for the table
        "1143",  # no privilege for a column
        "1146",  # no such table
        "1153",  # larger than max_allowed_packet
        "1290",  # read_only, as on a replica
        "1406",  # too long for its column
        "1836",  # InnoDB is read-only
    }
)
_UNFIT = frozenset({DETACHED, "1290", "1836"})
"""The server is outside of its cluster, or a replica now."""
_CERTAIN = CONFLICTS | _REFUSED | {DUPLICATE}
_KEPT = _CERTAIN - _UNFIT - {"1153"}
"""Errors of one statement, or of the schema; after 1153 the server closes the connection."""
CODES = Codes(
    is_certain=_CERTAIN.__contains__,
    again=_AGAIN | {DETACHED},
    undone={GONE},
    # Shutting down, interrupted.
    temporary=CONFLICTS | _FULL | {DETACHED, "1053", "1317", "1927", "1969"},
)
"""Servers have thousands of codes; after any other code the outcome of a write is unknown."""

_FIRST_CODE = 1000
"""Smaller numbers are errors of the operating system."""
_OF_THE_CLIENT = range(2000, 3000)
"""The driver's own errors, about connections."""
_UNKNOWN_VARIABLE = 1193

_SETUP = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION autocommit = 1, sql_notes = 0",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "COMMIT",  # commits nothing; a Galera node outside of its cluster refuses it (1047)
)
_ONLY_READS = "SELECT @@GLOBAL.read_only NOT IN ('0', 'OFF')"


class Rows(NamedTuple):
    """The response to a statement: its rows, and the number that it matched, changed or not."""

    rows: Sequence[tuple[Any, ...]]
    matched: int


class _OnlyReads(Exception):
    """The server, one of several, is read-only."""


class Connection(adapter.Connection[str, Rows]):
    """A connection of asyncmy."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._transport = raw._transport  # noqa: SLF001 - the driver has nothing public for it
        self._sent = 0

    @property
    def sent(self) -> int:
        """The number of statements that the driver may have written."""
        return self._sent

    @property
    def is_closed(self) -> bool:
        """Whether the driver knows that it is closed."""
        closed: bool = self._transport.is_closing()
        return closed

    async def run(self, statement: str) -> Rows:
        """Runs SQL, ASCII only."""
        self._sent += self.raw.connected  # else the driver refuses to write it
        # Without a cursor, which may ask for warnings, and fail after the statement was done.
        matched = await self.raw.query(statement)
        return Rows(self.raw._result.rows or (), matched)  # noqa: SLF001 - see above

    async def ping(self) -> None:
        """Returns when the server has responded."""
        await self.raw.ping(reconnect=False)

    async def leave(self) -> None:
        """Closes the connection properly."""
        await self.raw.ensure_closed()

    def abort(self) -> None:
        """Closes the socket, even after `leave`, whose TLS goodbye may still be under way.

        A plain close would first send the rest to a server that hangs.
        """
        self._transport.abort()
        self.raw.close()


class Adapter:
    """Makes connections, and reports the facts about their errors; see the module's text.

    Args:
        address: the server, or the servers of one cluster, and the login.
        tls: the settings of encryption; None: connections are not encrypted.
        timeout: seconds after which the server may give up a statement.
    """

    codes = CODES
    full = _FULL
    unfit = _UNFIT
    keeps = staticmethod(_KEPT.__contains__)

    def __init__(self, address: Address, *, tls: ssl.SSLContext | None, timeout: float) -> None:
        self._connect = driver("asyncmy", extra="mysql").connect
        self._errors = (driver("asyncmy.errors", extra="mysql").MySQLError, OSError, EOFError)
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
        # In seconds. A server without such a variable skips it.
        self._wishes: tuple[str, ...] = (
            f"SET SESSION max_statement_time = {min(timeout, 1e6):.3f}",
            f"SET SESSION innodb_lock_wait_timeout = {int(min(max(timeout / 2, 1), 1e6))}",
            "SET SESSION wsrep_sync_wait = 7",  # Galera: see each commit that any node acknowledged
        )
        self._hosts = address.places
        self._at = 0
        """The index of the host in use."""
        self._passed_over = False

    async def connect(self, deadline: float) -> Connection:
        """Returns a connection to the host in use, or else to the next that works."""
        loop = asyncio.get_running_loop()
        full: Exception | None = None
        for untried in range(len(self._hosts), 1, -1):
            now = loop.time()
            try:
                return self._reached(await self._try(now + (deadline - now) / untried))
            except Exception as error:  # noqa: BLE001 - after any error the host is unusable
                full = error if _code(error) in _FULL else full
                if not self._passed_over:
                    log.warning("store host passed over", error=_text(error))
        try:
            return self._reached(await self._try(deadline))
        except Exception as error:
            self._passed_over = True
            if full is not None:  # a full host will have room again, and the pool waits for it
                raise full from error
            raise  # with its cause, which `report` needs

    def _reached(self, connection: Connection) -> Connection:
        self._passed_over = False
        return connection

    def report(self, error: Exception) -> Report:
        """Returns the facts about the error; a server's response may quote a statement's values."""
        number = _number(error)
        is_response = number > 0 and number not in _OF_THE_CLIENT
        said = _text(error)
        is_timeout = isinstance(error, TimeoutError)
        # Any other exception is a fault in the program: the next attempt would meet it too.
        is_broken = not is_response and isinstance(error, (*self._errors, _OnlyReads))
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        return Report(
            type(error).__name__ if is_response else said,
            code=_code(error),
            is_response=is_response,
            is_lost=is_broken and not is_timeout,
            is_temporary=is_broken and not isinstance(cause, ssl.SSLError),
            is_timeout=is_timeout,
            detail=said,
        )

    async def _try(self, deadline: float) -> Connection:
        at = self._at
        try:
            async with asyncio.timeout_at(deadline):
                return await self._new(*self._hosts[at])
        except Exception:
            if self._at == at:  # no other attempt has moved on meanwhile
                self._at = (at + 1) % len(self._hosts)
            raise

    async def _new(self, host: str, port: int) -> Connection:
        where = {"host": host, "port": port}
        connection = Connection(await self._connect(**self._options | where))
        try:
            await self._set_up(connection)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _set_up(self, connection: Connection) -> None:
        for statement in _SETUP:
            await connection.run(statement)
        for wish in self._wishes:
            await self._wish(connection, wish)
        if len(self._hosts) > 1:
            [[only_reads]] = (await connection.run(_ONLY_READS)).rows
            if only_reads:
                raise _OnlyReads("it is read-only")

    @staticmethod
    async def _wish(connection: Connection, statement: str) -> None:
        try:
            await connection.run(statement)
        except Exception as error:
            if _number(error) != _UNKNOWN_VARIABLE:
                raise


def _number(error: Exception) -> int:
    """Returns the error's number, the server's or the driver's; 0: it has none."""
    number = error.args[0] if error.args else 0
    return number if isinstance(number, int) and number >= _FIRST_CODE else 0


def _code(error: Exception) -> str:
    return str(_number(error) or "")


def _text(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no response in time"
    return ": ".join(map(str, error.args)) or repr(error)
