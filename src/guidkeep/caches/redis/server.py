"""One Redis server: its connection, its scripts, its breaker.

The first call opens the connection, and a call after a failure opens it again; meanwhile calls wait
for it until their deadlines. A new connection is greeted: it logs in, learns the generation of the
server (see `guidkeep.caches.redis.scripts`), loads the scripts with the generation in their text,
and runs one of them, which shows that the server accepts writes. If the server no longer knows the
scripts (NOSCRIPT) they are loaded anew, on the same connection, provided it is still the same
master.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import structlog

from guidkeep.batching.outcome import Outcome
from guidkeep.caches.redis import scripts as redis_scripts
from guidkeep.caches.redis.breaker import Breaker
from guidkeep.caches.redis.connection import (
    Connection,
    Refused,
    ReplyError,
    Silent,
    Unavailable,
    connect,
    fields,
    identity,
    ignore,
    pack,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

log = structlog.get_logger(__name__)

OLDEST: Final = 7
"""The oldest Redis whose scripts have flags."""
PATIENCE: Final = 1.0
"""Seconds that opening and greeting a connection may take."""
HURRIED: Final = frozenset(("get", "fill"))
"""The scripts of a read, which asks the store instead, or goes on, when they take too long."""
EXPECTED: Final = (OSError, ValueError)
"""The errors of opening and greeting a connection. ValueError: the host's name is invalid."""
ELSEWHERE: Final = ("MOVED", "ASK", "TRYAGAIN")
"""The errors of a healthy server of a cluster that does not have this key."""
UNFIT: Final = (
    "READONLY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "BUSY",
    "CLUSTERDOWN", "NOAUTH", "NOPERM", "WRONGPASS",
)  # fmt: skip
"""The errors of a server that can't serve, for any key."""

REFUSALS: Final = ("WRONGPASS", "NOAUTH", "NOPERM", "ERR")
"""The errors for a wrong user, password or database, or missing rights."""

_ASKING: Final = pack(("ASKING",))

Word = str | bytes | int | float


class Options(NamedTuple):
    """The options of all servers of a cache.

    Attributes:
        user: the user's name; empty: the default user.
        password: the password; empty: no login.
        database: the number of the database.
        tls: the settings of encryption; None: no encryption.
        probe: the key that the greeting touches.
        timeout: seconds that a read waits.
        patience: seconds that a write waits.
        lease_time: seconds that a lease lasts at most.
        pauses: see `Breaker`.
        observe: called after each batch with its size and its seconds.
        count_failure: called with the kind of each failure: "connect", "lost" or "refused".
    """

    user: str
    password: str
    database: int
    tls: SSLContext | None
    probe: bytes
    timeout: float
    patience: float
    lease_time: float
    pauses: Callable[[int], float]
    observe: Callable[[int, float], None]
    count_failure: Callable[[str], None]

    def seconds(self, script: str) -> float:
        """Returns the seconds that a caller of the script waits."""
        return self.timeout if script in HURRIED else self.patience


class Watcher(Protocol):
    """Is called when a server fails or is back."""

    def failed(self) -> None:
        """Notes that a server can't be asked, or did not reply."""
        ...

    def back(self, name: str) -> None:
        """Notes that the server of that name can be asked again."""
        ...


class _Call(NamedTuple):
    """A call that waits for the connection."""

    script: str
    key: bytes
    arguments: tuple[Word, ...]
    asking: bool
    outcome: Outcome[Any]


class Server:
    """See the module's text."""

    def __init__(self, host: str, port: int, options: Options, watcher: Watcher) -> None:
        self.host = host
        self.port = port
        self.breaker = Breaker(options.pauses)
        self._options = options
        self._watcher = watcher
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._texts: dict[str, str] = {}
        self._names: dict[str, bytes] = {}
        self._is_renewing = False
        self._waiting: list[_Call] = []
        self._probe_timer: asyncio.TimerHandle | None = None
        self._closed = False

    def __str__(self) -> str:
        """Returns host and port."""
        return f"{self.host}:{self.port}"

    def peek(self, key: bytes, now: float, take: Callable[[Any], None]) -> bool:
        """Runs `peek` on a key; `take` gets the reply, or an error. False: it can't be asked now.

        `take` is called directly when the reply comes, not through the event loop.
        """
        connection = self._connection
        if connection is None or connection.is_late:
            return False
        # Without `_send`, to save a hit another call.
        connection.send(pack(("EVALSHA", self._names["peek"], 1, key, now)), take, hurried=True)
        return True

    def submit(
        self, script: str, key: bytes, *arguments: Word, asking: bool = False
    ) -> Outcome[Any]:
        """Runs a script on a key; the outcome is the reply, or an error (it is not raised)."""
        outcome: Outcome[Any] = Outcome(loop=asyncio.get_running_loop())
        if self._connection is not None:
            self._send(self._connection, outcome.set_result, script, key, arguments, asking=asking)
        else:
            self._wait(_Call(script, key, arguments, asking, outcome))
        return outcome

    async def ping(self) -> None:
        """Raises Unavailable if the server can't be asked."""
        _unless_elsewhere(await self.submit("drop", self._options.probe))

    def distrust(self, reply: Exception) -> None:
        """Counts an error of an unfit server as a failure, and reconnects, maybe to another."""
        if self._connection is not None:
            self._options.count_failure("refused")
            self._connection.cut(Unavailable(f"Redis says: {reply}"))

    def renew(self) -> None:
        """Loads the scripts anew, provided the server is still the same master."""
        if self._connection is not None and not self._is_renewing:
            self._is_renewing = True
            self._connection.verify()
            for text in self._texts.values():
                loaded = self._connection.ask("SCRIPT", "LOAD", text)
            loaded.add_done_callback(self._renewed)

    def probe(self) -> None:
        """Tries to connect again."""
        self._probe_timer = None
        self._connect()

    async def close(self) -> None:
        """Closes the connection."""
        self._closed = True
        if self._probe_timer is not None:
            self._probe_timer.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._connecting
        self._refuse(Unavailable("the cache was closed"))
        if self._connection is not None:
            await self._connection.close()

    def _send(
        self,
        connection: Connection,
        take: Callable[[Any], None],
        script: str,
        key: bytes,
        arguments: tuple[Word, ...],
        *,
        asking: bool = False,
    ) -> None:
        """Runs a script on a key; `take` gets the reply, or an error."""
        hurried = script in HURRIED
        if asking:
            connection.send(_ASKING, ignore, hurried=hurried)
        command = pack(("EVALSHA", self._names[script], 1, key, *arguments))
        connection.send(command, take, hurried=hurried)

    # Connecting.

    def _wait(self, call: _Call) -> None:
        """Keeps a call until there is a connection, or its time is over."""
        if self._closed or self.breaker.is_open:
            call.outcome.set_result(Unavailable(f"{self} is not asked at the moment"))
            return
        self._waiting.append(call)
        seconds = self._options.seconds(call.script)
        asyncio.get_running_loop().call_later(seconds, give_up, call.outcome)
        self._connect()

    def _connect(self) -> None:
        if self._connecting is None and self._connection is None and not self._closed:
            self._connecting = asyncio.get_running_loop().create_task(self._connected())

    async def _connected(self) -> None:
        """Opens a connection and greets it; notes the success or failure."""
        connection = None
        try:
            async with asyncio.timeout(PATIENCE):
                connection = await connect(self.host, self.port, self._options.tls, self._make)
                await self._greet(connection)
        except Exception as error:
            self._connecting = None
            if not isinstance(error, EXPECTED):
                log.exception("cache can't be greeted", server=str(self))
            reason = self._reason_of(error, connection)
            if connection is not None:
                connection.cut(reason)
            self._options.count_failure("connect")
            self._note_failure(reason)
        except asyncio.CancelledError:
            if connection is not None:
                await connection.close()
            raise
        else:
            self._connecting = None
            self._begin(connection)

    def _reason_of(self, error: Exception, connection: Connection | None) -> Unavailable:
        """Returns the reason why the server can't be asked, for the log."""
        if isinstance(error, Refused):
            return error
        text = str(error) or f"no connection within {PATIENCE:g} s"
        if connection is not None and connection.error is not None and self._options.tls is None:
            text += " (if it accepts TLS only, the URL begins with rediss://)"
        return Unavailable(text)

    def _make(self) -> Connection:
        options = self._options
        return Connection(
            timeout=options.timeout,
            patience=options.patience,
            observe=self._on_batch,
            lost=self._on_lost,
        )

    async def _greet(self, connection: Connection) -> None:
        """Logs in, and loads the scripts.

        Raises:
            Unavailable: the server is no master, or does not accept writes.
        """
        options = self._options
        await log_in(connection, options)
        if options.database:
            selected = connection.ask("SELECT", options.database)
            expect_well(await selected)
        server, replication = (
            connection.ask("INFO", "server"),
            connection.ask("INFO", "replication"),
        )
        about = fields(expect_well(await server))
        version = about.get(b"redis_version", b"0").decode()
        if int(version.partition(".")[0]) < OLDEST:
            raise Unavailable(f"it is Redis {version}; Guidkeep needs {OLDEST} or newer")
        master = identity(expect_well(await replication))
        if master is None:
            raise Unavailable("it is a replica")
        generation = redis_scripts.generation_of(
            about.get(b"run_id", b"").decode(), master.decode()
        )
        self._texts = redis_scripts.texts(generation, options.lease_time)
        asked = {name: connection.ask("SCRIPT", "LOAD", text) for name, text in self._texts.items()}
        self._names = {name: expect_well(await loaded) for name, loaded in asked.items()}
        connection.expect(master)
        connection.verify()
        tried = connection.ask("EVALSHA", self._names["drop"], 1, options.probe)
        _unless_elsewhere(await tried)

    def _begin(self, connection: Connection) -> None:
        """Uses a connection that is ready."""
        self._connection = connection
        self._is_renewing = False
        if self.breaker.is_open:
            self.breaker.close()
            self._watcher.back(str(self))
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            if not call.outcome.done():
                take = partial(_hand_over, call.outcome)
                self._send(
                    connection, take, call.script, call.key, call.arguments, asking=call.asking
                )

    def _renewed(self, last: asyncio.Future[Any]) -> None:
        self._is_renewing = False
        if isinstance(last.result(), ReplyError):
            self.distrust(last.result())

    def _on_batch(self, size: int, seconds: float) -> None:
        """Observes a batch; outside of a greeting it counts as a success."""
        self._options.observe(size, seconds)
        if self._connection is not None:
            self.breaker.succeeded()

    # Failing.

    def _on_lost(self, connection: Connection, error: Unavailable) -> None:
        """Notes the end of the connection in use; a greeting reports its own failure."""
        if connection is self._connection:
            self._connection = None
            if not self._closed:
                self._options.count_failure("lost")
                self._note_failure(error)

    def _note_failure(self, error: Unavailable) -> None:
        was_open = self.breaker.is_open
        pause = self.breaker.failed(surely=isinstance(error, Silent))
        self._refuse(error)
        if pause is not None:
            self._probe_timer = asyncio.get_running_loop().call_later(pause, self.probe)
            if not was_open:
                log.warning("cache lost", server=str(self), error=str(error))
        self._watcher.failed()

    def _refuse(self, error: Unavailable) -> None:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            if not call.outcome.done():
                call.outcome.set_result(error)


async def log_in(connection: Connection, options: Options) -> None:
    """Logs in if there is a password.

    Raises:
        Unavailable: the login was refused.
    """
    if options.password:
        login = (options.user, options.password) if options.user else (options.password,)
        expect_well(await connection.ask("AUTH", *login))


def expect_well(reply: Any) -> Any:
    """Returns the reply. Raises Unavailable if it is an error."""
    if isinstance(reply, Unavailable):
        raise reply
    if isinstance(reply, ReplyError):
        kind = Refused if str(reply).startswith(REFUSALS) else Unavailable
        raise kind(f"Redis says: {reply}")
    return reply


def _unless_elsewhere(reply: Any) -> None:
    if not (isinstance(reply, ReplyError) and str(reply).startswith(ELSEWHERE)):
        expect_well(reply)


def _hand_over(outcome: Outcome[Any], reply: Any) -> None:
    """Sets the result of an outcome, unless it was given up."""
    if not outcome.done():
        outcome.set_result(reply)


def give_up(outcome: Outcome[Any]) -> None:
    """Makes an outcome a failure, unless it has a result already."""
    _hand_over(outcome, Unavailable("no connection in time"))
