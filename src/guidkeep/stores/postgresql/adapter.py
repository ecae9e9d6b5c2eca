"""Connections to PostgreSQL over asyncpg, and the meaning of their errors.

*No state in the session.* A proxy that pools transactions gives each of them any free connection
to the server. So every statement is sent with its text, without a name, and is complete. The driver
would first ask for the types of a statement and then send it: two round trips. A connection
therefore keeps the types after the first time. For a type that the driver does not know it would
ask further, and change settings of the session unseen by the proxy. So parameters have the types
bytea, bigint, text and text[] only.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from guidkeep.stores.postgresql.tls import asyncpg, connected
from guidkeep.stores.remote import adapter, pool
from guidkeep.stores.remote.failures import Codes, Report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from guidkeep.urls import Address

    Pool: TypeAlias = pool.Pool["Statement | Script", Sequence[Any]]

_AGAIN = frozenset({"40001", "40P01"})
"""The transaction conflicted with another, and may succeed if it is repeated."""
_ENDED = frozenset({"57P01", "57P04", "57P05", "25P03"})
"""The server ends a connection without a commit: it shuts down, the database was dropped, or the
session was idle for too long."""
_FULL = frozenset({"53300"})
_DOUBTFUL = ("08", "40003", "58", "XX")
"""Codes, or their first characters, of errors that may come after a commit: the server is itself a
client of others (Citus, YugabyteDB, a proxy), or does not know the outcome (CockroachDB)."""
_NOT_KEPT = ("08", "25", "57P", "58", "XX")
"""The first characters of codes for errors of the connection, its session or its server. All others
are errors of one statement, or of the schema."""
CODES = Codes(
    is_certain=lambda code: not code.startswith(_DOUBTFUL),
    again=_AGAIN | _ENDED,
    undone=_ENDED,
    temporary=_FULL | {"57P03", "57P01", "08P01", "08006", "08001", "08003", "08004"},
)


class Statement(NamedTuple):
    """A statement and its parameters.

    Attributes:
        text: SQL.
        arguments: its parameters.
        each: instead, the parameters for each of several runs, all in one transaction and one
            round trip.
    """

    text: str
    arguments: Sequence[Any] = ()
    each: Sequence[Sequence[Any]] | None = None

    def __repr__(self) -> str:
        """Leaves out the parameters, so that no log has them."""
        return "Statement(...)"


class Script(NamedTuple):
    """Several statements without parameters, all in one transaction."""

    text: str


class Connection(adapter.Connection["Statement | Script", "Sequence[Any]"]):
    """A connection of asyncpg, and the statements whose types it knows."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._ready: dict[str, Any] = {}
        self._protocol = raw._protocol  # noqa: SLF001 - the driver has nothing public for `sent`

    @property
    def sent(self) -> int:
        """The number of statements sent for execution so far."""
        sent: int = self._protocol.queries_count
        return sent

    @property
    def is_closed(self) -> bool:
        """Whether the driver knows that it is closed."""
        closed: bool = self.raw.is_closed()
        return closed

    async def run(self, statement: Statement | Script) -> Sequence[Any]:
        """Runs a statement; returns its rows.

        After the first question for the types a proxy waits for the statement itself. It must
        follow at once, or the connection must be ended.
        """
        if isinstance(statement, Script):
            await self.raw.execute(statement.text)
            return ()
        ready = self._ready.get(statement.text)
        if ready is None:
            self._ready[statement.text] = ready = await self.raw.prepare(statement.text)
        rows: Sequence[Any]
        if statement.each is None:
            rows = await ready.fetch(*statement.arguments)
        else:
            rows = await ready.fetchmany(statement.each)
        return rows

    async def ping(self) -> None:
        """Returns when the server has responded."""
        await self.raw.execute("SELECT 1")

    async def leave(self) -> None:
        """Closes the connection properly; the server gives up a statement under way."""
        await self.raw.close(timeout=pool.CLOSE_SECONDS)

    async def cut(self) -> None:
        """Has the server give up the statement under way, and closes the connection."""
        with suppress(Exception):  # the connection is closed after any error
            await self.leave()
        self.abort()

    def abort(self) -> None:
        """Closes the socket."""
        self.raw.terminate()


class Adapter:
    """Makes connections.

    Args:
        address: the server and the login.
        tries: the ways to encrypt a connection; see `guidkeep.stores.postgresql.tls`.
    """

    codes = CODES
    full = _FULL
    unfit = frozenset({"25006"})  # it takes no writes: a replica now

    def __init__(self, address: Address, tries: tuple[ssl.SSLContext | None, ...]) -> None:
        self._tries = tries
        # Each of these the driver would otherwise read from the environment or the home folder.
        self._options = {
            "host": address.host,
            "port": address.port,
            "user": address.login,
            "password": address.password,
            "database": address.database,
            "statement_cache_size": 0,  # a proxy may give each statement another connection
            "direct_tls": False,
            "target_session_attrs": "any",
            "krbsrvname": "postgres",
            "gsslib": "gssapi",
        }

    def keeps(self, code: str) -> bool:
        """Whether a connection stays usable after a refusal with this code."""
        return not code.startswith(_NOT_KEPT)

    async def connect(self, deadline: float) -> Connection:
        """Makes a connection; gives up at `deadline`, the event loop's time."""
        left = deadline - asyncio.get_running_loop().time()
        return Connection(
            await connected(asyncpg.connect, self._tries, timeout=left, **self._options)
        )

    def report(self, error: Exception) -> Report:
        """Returns the facts about the error; if it may quote values, its name and code alone."""
        code = str(getattr(error, "sqlstate", None) or "")
        is_response = isinstance(error, asyncpg.PostgresError) and bool(
            getattr(error, "severity", None)  # the driver's own errors of this type have none
        )
        is_lost = not isinstance(error, TimeoutError) and isinstance(
            error,
            OSError
            | asyncpg.ConnectionDoesNotExistError
            | asyncpg.InterfaceError
            | asyncpg.InternalClientError,  # the server is about to close the connection
        )
        if isinstance(error, asyncpg.ConnectionDoesNotExistError):
            code = str(getattr(error.__cause__, "sqlstate", None) or "")
        return Report(
            _text(error, code),
            code=code,
            is_response=is_response,
            is_lost=is_lost,
            is_temporary=isinstance(error, OSError | asyncpg.ConnectionDoesNotExistError)
            and not isinstance(error, FileNotFoundError | PermissionError | ssl.SSLError),
            is_timeout=isinstance(error, TimeoutError),
            detail=_detail(error, is_response=is_response),
        )


def _text(error: Exception, code: str) -> str:
    if isinstance(error, TimeoutError):
        return "no response in time"
    if isinstance(error, OSError | asyncpg.ConnectionDoesNotExistError):
        return repr(error)
    return f"{type(error).__name__} {code}".rstrip()


def _detail(error: Exception, *, is_response: bool) -> str:
    """Returns the error in one line, for an operator; it holds no password."""
    if isinstance(error, TimeoutError):
        return "no response in time"
    text = str(error) if is_response else f"{type(error).__name__} {error}"
    return " ".join(text.split())
