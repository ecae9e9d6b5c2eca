"""One connection to a Redis: commands go out in rounds, replies come back in the same order.

Commands of one turn of the event loop go out in one piece. Rounds do not wait for each other. An
error is a reply like any other, so that nobody has to look at it: a `ReplyError` where Redis
answered with one, `Unavailable` where it did not answer.

*Deadline.* A connection whose oldest round was not answered in time is in doubt: it is cut, and all
that was on its way is lost; nobody knows whether Redis did it, or will yet. An event loop that was
held up finds its timers due before it has read what came meanwhile; so what is overdue is given
a moment to be read before it is judged.

*Silence.* A connection that was silent for a while asks `INFO replication` along with the next
round, and is cut before anybody sees that round's replies if the server is not what it was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from guidkeep.addresses import driver
from guidkeep.outcome import Outcome

if TYPE_CHECKING:
    from ssl import SSLContext

hiredis = driver("hiredis", extra="redis")
ReplyError: type[Exception] = hiredis.ReplyError
pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command

SILENCE: Final = 0.25
"""Seconds after which a connection makes sure that the server is what it was."""
GRACE: Final = 0.2
"""What is overdue is given this part of the deadline to be read."""

Taker = Callable[[Any], None]
"""Who is told of a reply, or of an error in its place."""

_MORE: Final = object()
_WHO_ARE_YOU: Final = pack(("INFO", "replication"))


class Unavailable(OSError):
    """The cache can't be asked, or did not answer in time."""


class Connection(asyncio.Protocol):
    """See the module's text.

    Args:
        timeout: seconds that Redis has to answer.
        observe: called after each round with its size and the seconds that it took.
        lost: called once when the connection has come to its end, with the reason.
    """

    def __init__(
        self,
        *,
        timeout: float,
        observe: Callable[[int, float], None],
        lost: Callable[[Connection, Unavailable], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._observe = observe
        self._lost = lost
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._transport: asyncio.Transport
        self._out: list[bytes] = []
        self._asked: list[Taker | None] = []  # None: whoever verifies
        self._rounds: deque[tuple[float, list[Taker | None]]] = deque()
        self._answered = 0  # of the oldest round
        self._timer: asyncio.TimerHandle | None = None
        self._judged: float | None = None
        self._last_round = self._loop.time()
        self._expected: bytes | None = None
        self._ended = self._loop.create_future()
        self.error: Unavailable | None = None

    def expect(self, identity: bytes) -> None:
        """From now on the server has to be that one; see `identity`."""
        self._expected = identity

    def send(self, command: bytes, take: Taker) -> None:
        """Sends a command with this turn's round; `take` is called with its reply."""
        if self.error is not None:
            take(self.error)
            return
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(command)
        self._asked.append(take)

    def ask(self, *words: str | bytes | float) -> Outcome[Any]:
        """Sends a command that is made of these words; the outcome is its reply."""
        outcome: Outcome[Any] = Outcome(loop=self._loop)
        self.send(pack(words), outcome.set_result)
        return outcome

    def verify(self) -> None:
        """Makes sure, along with this turn's round, that the server is what it was."""
        if self._expected is not None and self.error is None:
            if not self._out:
                self._loop.call_soon(self._flush)
            self._out.append(_WHO_ARE_YOU)
            self._asked.append(None)

    def cut(self, error: Unavailable) -> None:
        """Ends the connection; what is on its way is lost."""
        if self.error is not None:
            return
        self.error = error
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        rounds = [asked for _, asked in self._rounds]
        missed = rounds[0][self._answered :] if rounds else []
        missed += [*(each for asked in rounds[1:] for each in asked), *self._asked]
        self._rounds.clear()
        self._asked.clear()
        self._out.clear()
        self._lost(self, error)  # first: who is told of the error may ask again
        for take in missed:
            if take is not None:
                take(error)

    async def close(self) -> None:
        """Cuts it, and waits until it is gone."""
        self.cut(Unavailable("the cache was closed"))
        await self._ended

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = cast("asyncio.Transport", transport)  # as asyncio promises

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._ended.set_result(None)
        self.cut(Unavailable(f"the connection was lost: {exc or 'Redis closed it'}"))

    def data_received(self, data: bytes) -> None:
        """Hands out the replies."""
        reader = self._reader
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not _MORE:
                if not self._rounds:
                    self.cut(Unavailable(f"Redis said, unasked: {reply}"))
                    return
                since, asked = self._rounds[0]
                take = asked[self._answered]
                self._answered += 1
                if self._answered == len(asked):
                    self._rounds.popleft()
                    self._answered = 0
                    self._observe(len(asked), self._loop.time() - since)
                if take is not None:
                    take(reply)
                elif identity(reply) != self._expected:
                    self.cut(Unavailable("the server is not the master that it was"))
                    return
        except hiredis.ProtocolError:
            self.cut(Unavailable("what answers does not speak Redis' language"))

    # Plumbing.

    def _flush(self) -> None:
        if self.error is not None:
            return
        now = self._loop.time()
        out, asked = self._out, self._asked
        self._out, self._asked = [], []
        if self._expected is not None and now - self._last_round > SILENCE:
            out.insert(0, _WHO_ARE_YOU)
            asked.insert(0, None)
        self._last_round = now
        self._rounds.append((now, asked))
        self._transport.write(b"".join(out))
        if self._timer is None:
            self._timer = self._loop.call_at(now + self._timeout, self._look)

    def _look(self) -> None:
        """Looks whether the oldest round is overdue."""
        self._timer = None
        if not self._rounds:
            return
        since = self._rounds[0][0]
        now = self._loop.time()
        if now < since + self._timeout:
            self._timer = self._loop.call_at(since + self._timeout, self._look)
        elif self._judged != since:
            self._judged = since
            self._timer = self._loop.call_later(self._timeout * GRACE, self._look)
        else:
            self.cut(Unavailable(f"no answer within {self._timeout:g} s"))


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
    """Of what `INFO replication` says: the replication's id if the server is the master."""
    if not isinstance(reply, bytes):
        return None
    said = fields(reply)
    return said.get(b"master_replid") if said.get(b"role") == b"master" else None


def fields(info: bytes) -> dict[bytes, bytes]:
    """What `INFO` says, by name."""
    pairs = (line.partition(b":") for line in info.split(b"\r\n"))
    return {name: value for name, colon, value in pairs if colon}
