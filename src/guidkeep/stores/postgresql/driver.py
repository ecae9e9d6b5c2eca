"""Connections to PostgreSQL over asyncpg, and what their errors mean.

*Nothing of the session is used.* A proxy that pools transactions gives each of them whatever
connection of the server's is free, so every statement is sent with its text, under no name, and
stands alone. The driver would ask for the types of a statement first and send it afterwards: two
round trips. A connection therefore keeps what it was told the first time, and asks no more. Types
that the driver does not know by itself cost further questions, and a change of session settings
behind the proxy's back: parameters are of bytea, bigint, text and text[] only.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from guidkeep.stores.postgresql.tls import asyncpg, connected
from guidkeep.stores.remote import pool
from guidkeep.stores.remote.failures import Codes, Report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from guidkeep.urls import Address

    Pool: TypeAlias = pool.Pool["Statement | Script", Sequence[Any]]

_AGAIN = frozenset({"40001", "40P01"})
"""A transaction that stood in another's way, and may succeed if it is repeated."""
_ENDED = frozenset({"57P01", "57P04", "57P05", "25P03"})
"""The server ends a connection whose transaction it has not committed: it is shut down, the
database is dropped, the session was idle for too long."""
_FULL = frozenset({"53300"})
_DOUBTFUL = ("08", "40003", "58", "XX")
"""Codes, or how they begin, of errors that may come after a commit: where the server is itself a
client of others (Citus, YugabyteDB, a proxy), or says that it can't tell (CockroachDB)."""
_KEPT = ("22", "23", "40", "42", "55", "57014")
"""How codes begin of errors of one statement, or of the schema, not of the server."""
CODES = Codes(
    is_certain=lambda code: not code.startswith(_DOUBTFUL),
    again=_AGAIN | _ENDED,
    unbegun=_ENDED,
    full=_FULL,
    passing=_FULL | {"57P03", "57P01", "08P01", "08006", "08001", "08003", "08004"},
    keeps=lambda code: code.startswith(_KEPT),
)


class Statement(NamedTuple):
    """A statement and its parameters.

    Attributes:
        text: SQL.
        arguments: its parameters.
        each: in their place, the parameters of each of several runs, all in one transaction and
            one round trip.
    """

    text: str
    arguments: Sequence[Any] = ()
    each: Sequence[Sequence[Any]] | None = None

    def __repr__(self) -> str:
        """Without the parameters, so that they get into no log."""
        return "Statement(...)"


class Script(NamedTuple):
    """Several statements without parameters, all in one transaction."""

    text: str


class Connection(pool.Connection["Statement | Script", "Sequence[Any]"]):
    """A connection of asyncpg's, and the statements that it knows the types of."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._ready: dict[str, Any] = {}
        self._protocol = raw._protocol  # noqa: SLF001 - nothing public tells what was sent

    @property
    def sent(self) -> int:
        """How many statements have been sent, for execution, since it was made."""
        sent: int = self._protocol.queries_count
        return sent

    @property
    def is_closed(self) -> bool:
        """Whether the driver knows its end."""
        closed: bool = self.raw.is_closed()
        return closed

    async def run(self, statement: Statement | Script) -> Sequence[Any]:
        """Runs it; returns its rows.

        Its first asking for the types leaves a proxy waiting for the statement itself, which
        must follow at once; or the connection must be ended.
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
        """Says goodbye."""
        await self.cut()

    async def cut(self) -> None:
        """Lets the server give up what it still does there, and closes the connection."""
        with suppress(Exception):  # whatever it is, the connection goes
            await self.raw.close(timeout=pool.CLOSE_SECONDS)
        self.raw.terminate()


class Driver:
    """How connections are made.

    Args:
        address: where the server is, and as whom to log in.
        tries: how to encrypt a connection; see `guidkeep.stores.postgresql.tls`.
    """

    codes = CODES

    def __init__(self, address: Address, tries: tuple[ssl.SSLContext | None, ...]) -> None:
        self._tries = tries
        # All that the driver would look for in the environment or at home is told here.
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

    async def connect(self, until: float) -> Connection:
        """A connection, by that time of the loop."""
        left = until - asyncio.get_running_loop().time()
        return Connection(
            await connected(asyncpg.connect, self._tries, timeout=left, **self._options)
        )

    def report(self, error: Exception) -> Report:
        """What that error says; of what quotes a statement's values, the name and the code."""
        code = str(getattr(error, "sqlstate", None) or "")
        is_response = isinstance(error, asyncpg.PostgresError) and bool(
            getattr(error, "severity", None)  # the driver has errors of the same kind of its own
        )
        is_lost = not isinstance(error, TimeoutError) and isinstance(
            error,
            OSError
            | asyncpg.ConnectionDoesNotExistError
            | asyncpg.InterfaceError
            | asyncpg.InternalClientError,  # the server said goodbye, and is about to hang up
        )
        if isinstance(error, asyncpg.ConnectionDoesNotExistError):
            code = str(getattr(error.__cause__, "sqlstate", None) or "")
        return Report(
            _text(error, code),
            code=code,
            is_response=is_response,
            is_lost=is_lost,
            is_passing=isinstance(error, OSError | asyncpg.ConnectionDoesNotExistError)
            and not isinstance(error, FileNotFoundError | PermissionError | ssl.SSLError),
            detail=_detail(error, is_response=is_response),
        )


def _text(error: Exception, code: str) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError | asyncpg.ConnectionDoesNotExistError):
        return repr(error)
    return f"{type(error).__name__} {code}".rstrip()


def _detail(error: Exception, *, is_response: bool) -> str:
    """The error in one line, for an operator; it holds no password."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = str(error) if is_response else f"{type(error).__name__} {error}"
    return " ".join(text.split())
