"""One connection to a Redis: commands go out in batches, replies come back in the same order.

Commands of one event-loop iteration and the next go out in one piece, as a batch (see
`guidkeep.batching.batcher`). Batches do not wait for each other. An error is returned as a reply,
so a caller may ignore it: a `ReplyError` if Redis replied with one, `Unavailable` if it did not
reply.

*Deadlines.* A hurried command, as of a read, can do without a reply. When the oldest batch has had
no reply for `timeout` the connection is late, and until that batch has its replies no hurried
command waits. Others have reason to wait: a write that goes on without the cache leaves an entry
that other nodes believe. When the oldest batch has had no reply for `patience` either, the
connection is cut, and all batches under way are in doubt: Redis may have run them, or may run them
later. An event loop that was held up runs its timers before it reads the bytes that came meanwhile;
so an overdue batch gets a moment to be read before it counts as late.

*Silence.* A connection that was silent for a while asks `INFO replication` along with the next
batch. If the server is no longer the same master, it is cut before any caller sees that batch's
replies.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from guidkeep.backends import driver
from guidkeep.batching.batcher import after_next_iteration
from guidkeep.batching.outcome import Outcome
from guidkeep.caches import CacheRefuses

if TYPE_CHECKING:
    from ssl import SSLContext

hiredis = driver("hiredis", extra="redis")
ReplyError: type[Exception] = hiredis.ReplyError
pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command

SILENCE: Final = 0.25
"""Seconds of silence after which a connection checks that the server is the same master."""
GRACE: Final = 0.2
"""The part of `timeout` that an overdue batch gets to be read."""

Taker = Callable[[Any], None]
"""A function that is called with a reply, or with an error in its place."""

_MORE: Final = object()
_WHO_ARE_YOU: Final = pack(("INFO", "replication"))


class Unavailable(OSError):
    """The cache can't be asked, or did not reply in time."""


class Refused(CacheRefuses, Unavailable):
    """The server refuses the login, the rights or the database: to wait does not help."""


class Late(Unavailable):
    """The command was sent and may still run, but its caller is in a hurry."""


class Silent(Unavailable):
    """The server did not reply for the longest time that a caller waits."""


class _Batch(NamedTuple):
    """Commands that went out together.

    Attributes:
        since: the time of sending, by the event loop's clock.
        asked: the taker of each reply; None: the check of the server's identity.
        hurried: the places of hurried commands.
    """

    since: float
    asked: list[Taker | None]
    hurried: list[int]


class Connection(asyncio.Protocol):
    """See the module's text.

    Args:
        timeout: seconds in which Redis must reply to hurried commands.
        patience: seconds in which it must reply to the others.
        observe: called after each batch with its size and its seconds.
        lost: called once when the connection has ended, with the reason.
    """

    def __init__(
        self,
        *,
        timeout: float,
        patience: float,
        observe: Callable[[int, float], None],
        lost: Callable[[Connection, Unavailable], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._patience = max(patience, timeout)
        self._observe = observe
        self._lost = lost
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._transport: asyncio.Transport
        self._out: list[bytes] = []
        self._asked: list[Taker | None] = []
        self._hurried: list[int] = []
        self._batches: deque[_Batch] = deque()
        self._replied = 0  # replies so far to the oldest batch
        self._timer: asyncio.Handle | None = None
        self._judged: float | None = None
        self._last_batch = self._loop.time()
        self._expected: bytes | None = None
        self._ended = self._loop.create_future()
        self.error: Unavailable | None = None
        self.is_late = False

    def expect(self, identity: bytes) -> None:
        """Requires that the server has this identity from now on; see `identity`."""
        self._expected = identity

    def send(self, command: bytes, take: Taker, *, hurried: bool = False) -> None:
        """Sends a command with the next batch; `take` is called with its reply.

        A late connection does not send hurried commands.
        """
        if self.error is not None:
            take(self.error)
            return
        if hurried:
            if self.is_late:
                take(Unavailable("Redis is late"))
                return
            self._hurried.append(len(self._asked))
        self._add(command, take)

    def ask(self, *words: str | bytes | float, hurried: bool = False) -> Outcome[Any]:
        """Sends a command of these words; the outcome is its reply."""
        outcome: Outcome[Any] = Outcome(loop=self._loop)
        self.send(pack(words), outcome.set_result, hurried=hurried)
        return outcome

    def verify(self) -> None:
        """Checks, along with the next batch, that the server is the same master."""
        if self._expected is not None and self.error is None:
            self._add(_WHO_ARE_YOU, None)

    def cut(self, error: Unavailable) -> None:
        """Ends the connection; the commands under way get the error."""
        if self.error is not None:
            return
        self.error = error
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        batches = [each.asked for each in self._batches]
        missed = batches[0][self._replied :] if batches else []
        missed += [*(each for asked in batches[1:] for each in asked), *self._asked]
        self._batches.clear()
        self._asked.clear()
        self._hurried.clear()
        self._out.clear()
        self._lost(self, error)  # first, because a taker of the error may send a command again
        for take in missed:
            if take is not None:
                take(error)

    async def close(self) -> None:
        """Cuts it, and waits for its end."""
        self.cut(Unavailable("the cache was closed"))
        await self._ended

    # Calls by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast("asyncio.Transport", transport)  # as asyncio promises

    def connection_lost(self, exc: Exception | None) -> None:
        """Notes the end."""
        self._ended.set_result(None)
        self.cut(Unavailable(f"the connection was lost: {exc or 'Redis closed it'}"))

    def data_received(self, data: bytes) -> None:
        """Gives each reply to its taker."""
        reader = self._reader
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not _MORE:
                if not self._batches:
                    self.cut(Unavailable(f"unexpected reply: {reply}"))
                    return
                since, asked, _ = self._batches[0]
                take = asked[self._replied]
                self._replied += 1
                if self._replied == len(asked):
                    self._batches.popleft()
                    self._replied = 0
                    if self.is_late:
                        self._catch_up()
                    self._observe(len(asked), self._loop.time() - since)
                if take is not None:
                    take(reply)
                elif identity(reply) != self._expected:
                    self.cut(Unavailable("the server is not the master that it was"))
                    return
        except hiredis.ProtocolError:
            self.cut(Unavailable("the reply is not in Redis' protocol"))

    # Plumbing.

    def _add(self, command: bytes, take: Taker | None) -> None:
        if not self._out:
            after_next_iteration(self._loop, self._flush)
        self._out.append(command)
        self._asked.append(take)

    def _flush(self) -> None:
        if self.error is not None:
            return
        now = self._loop.time()
        out, asked, hurried = self._out, self._asked, self._hurried
        self._out, self._asked, self._hurried = [], [], []
        if self._expected is not None and now - self._last_batch > SILENCE:
            out.insert(0, _WHO_ARE_YOU)
            asked.insert(0, None)
            hurried = [place + 1 for place in hurried]
        self._last_batch = now
        self._batches.append(_Batch(now, asked, hurried))
        self._transport.write(b"".join(out))
        if self._timer is None:
            self._timer = self._loop.call_at(now + self._timeout, self._look)

    def _look(self) -> None:
        """Looks whether the oldest batch is overdue."""
        self._timer = None
        if not self._batches:
            return
        now = self._loop.time()
        due = self._batches[0].since + (self._patience if self.is_late else self._timeout)
        if now < due:
            self._arm(self._loop.call_at(due, self._look))
        elif self._judged != due:
            self._judged = due
            self._arm(self._loop.call_later(self._timeout * GRACE, self._look))
        elif self.is_late:
            self.cut(Silent(f"no reply within {self._patience:g} s"))
        else:
            self.is_late = True
            self._let_go(Late(f"no reply within {self._timeout:g} s"))
            self._look()

    def _let_go(self, error: Late) -> None:
        """Gives the error to the hurried commands, which may still run."""
        takers: list[Taker] = []
        replied = self._replied
        for _, asked, hurried in (*self._batches, _Batch(0.0, self._asked, self._hurried)):
            for place in hurried:
                if place >= replied:
                    takers.append(cast("Taker", asked[place]))
                    asked[place] = ignore
            hurried.clear()
            replied = 0
        for take in takers:
            take(error)

    def _catch_up(self) -> None:
        """Ends the lateness: the overdue batch has its replies. The next may be overdue too."""
        self.is_late = False
        self._arm(self._loop.call_soon(self._look))

    def _arm(self, timer: asyncio.Handle) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer


def ignore(*_: object) -> None:
    """Takes a result that no caller needs."""


async def connect(
    host: str, port: int, tls: SSLContext | None, make: Callable[[], Connection]
) -> Connection:
    """Opens a connection.

    Raises:
        OSError: it can't be opened.
    """
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(make, host, port, ssl=tls)
    return connection


def identity(reply: object) -> bytes | None:
    """Returns the replication's id in a reply to `INFO replication`; None: it is no master."""
    if not isinstance(reply, bytes):
        return None
    said = fields(reply)
    return said.get(b"master_replid") if said.get(b"role") == b"master" else None


def fields(info: bytes) -> dict[bytes, bytes]:
    """Returns the fields of a reply to `INFO`, by name."""
    pairs = (line.partition(b":") for line in info.split(b"\r\n"))
    return {name: value for name, colon, value in pairs if colon}
