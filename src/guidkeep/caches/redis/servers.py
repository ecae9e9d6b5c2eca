"""The server of a key: the only server, or the one of a cluster that has the key's slot.

A Redis Cluster shares 16,384 slots among its masters. A server that lacks a key's slot names
the one that has it (MOVED), or, while a slot moves, the one that may have it by now (ASK). Each
server has its own generation (see `guidkeep.caches.redis.scripts`): a value that moves to another
server, or was copied to a replica that is then promoted, counts as nothing there.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from binascii import crc_hqx
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from guidkeep.caches.redis.connection import Connection, ReplyError, Unavailable, connect, ignore
from guidkeep.caches.redis.server import EXPECTED, PATIENCE, UNFIT, Server, expect_well, log_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guidkeep.caches.redis.server import Options, Watcher, Word

log = structlog.get_logger(__name__)

AGAIN: Final = 4
"""The number of times that a call is repeated elsewhere, or with scripts loaded anew, at most."""
SLOTS: Final = 16_384
REFRESH_PAUSE: Final = 0.5
"""Seconds from one read of the slots' servers to the next, at least."""


class Servers(Protocol):
    """The server or servers of the cache."""

    def peek(self, key: bytes, now: float, take: Callable[[Any], None]) -> bool:
        """Looks at a key; `take` gets the reply, or an error. False: it can't be asked at once."""
        ...

    async def ask(self, script: str, key: bytes, *arguments: Word) -> Any:
        """Runs a script on a key; returns the reply, or an error (it is not raised).

        After an error the call is repeated, there or elsewhere, if that helps.
        """
        ...

    def usable(self, key: bytes) -> bool:
        """Whether the server of that key can be asked now."""
        ...

    @property
    def unreachable(self) -> int:
        """The number of servers that are not asked at the moment."""
        ...

    async def ping(self) -> None:
        """Raises Unavailable if any server can't be asked."""
        ...

    async def close(self) -> None:
        """Closes all connections."""
        ...


class Single:
    """One server."""

    def __init__(self, host: str, port: int, options: Options, watcher: Watcher) -> None:
        self._server = Server(host, port, options, watcher)
        self.peek = self._server.peek
        self.ping = self._server.ping
        self.close = self._server.close

    async def ask(self, script: str, key: bytes, *arguments: Word) -> Any:
        """See `Servers`."""
        reply = await self._server.submit(script, key, *arguments)
        if isinstance(reply, ReplyError):
            reply = await _insist(self._server, reply, lambda *_: None, script, key, *arguments)
        return reply

    def usable(self, key: bytes) -> bool:  # noqa: ARG002 - the same for each key
        """See `Servers`."""
        return not self._server.breaker.is_open

    @property
    def unreachable(self) -> int:
        """See `Servers`."""
        return int(self._server.breaker.is_open)


class Cluster:
    """The masters of a Redis Cluster, as they are found.

    Args:
        name: the cluster's name in the log.
        seeds: hosts and ports of some of its servers.
        options: the options of all servers.
        watcher: is called when a server fails or is back.
    """

    def __init__(
        self, name: str, seeds: Sequence[tuple[str, int]], options: Options, watcher: Watcher
    ) -> None:
        self._name = name
        self._seeds = seeds
        self._options = options
        self._watcher = watcher
        self._servers: dict[tuple[str, int], Server] = {}
        self._slots: list[Server | None] = []
        self._refreshing: asyncio.Task[None] | None = None
        self._refresh_timer: asyncio.TimerHandle | None = None
        self._refreshed = -REFRESH_PAUSE
        self._is_lost = False
        self._loss: OSError | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def peek(self, key: bytes, now: float, take: Callable[[Any], None]) -> bool:
        """See `Servers`."""
        server = self._of(key)
        return server is not None and server.peek(key, now, take)

    async def ask(self, script: str, key: bytes, *arguments: Word) -> Any:
        """See `Servers`."""
        server = self._of(key) or await self._found(script, key)
        if server is None:
            return Unavailable("no server is known for that key")
        reply = await server.submit(script, key, *arguments)
        if isinstance(reply, ReplyError):
            reply = await _insist(server, reply, self._elsewhere, script, key, *arguments)
        return reply

    def usable(self, key: bytes) -> bool:
        """See `Servers`."""
        server = self._of(key)
        return server is not None and not server.breaker.is_open

    @property
    def unreachable(self) -> int:
        """See `Servers`."""
        return self._is_lost or sum(server.breaker.is_open for server in self._servers.values())

    async def ping(self) -> None:
        """See `Servers`."""
        if not self._slots:
            self._refresh_soon()
            if self._refreshing is not None:
                await asyncio.wait([self._refreshing])
        if not self._slots or None in self._slots:
            loss = self._loss or Unavailable(f"{self._name}: there are slots without a server")
            raise loss.with_traceback(None)  # it may be raised again and again
        for server in list(self._servers.values()):
            await server.ping()

    async def close(self) -> None:
        """See `Servers`."""
        self._closed = True
        if self._refresh_timer is not None:
            self._refresh_timer.cancel()
        if self._refreshing is not None:
            self._refreshing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._refreshing
        for server in self._servers.values():
            await server.close()
        await asyncio.gather(*self._closing)

    # Calls by the servers.

    def failed(self) -> None:
        """Notes that a server can't be asked: another may have taken its place."""
        self._refresh_soon()
        self._watcher.failed()

    def back(self, name: str) -> None:
        """Notes that a server can be asked again."""
        self._watcher.back(name)

    # The server of each slot.

    def _of(self, key: bytes) -> Server | None:
        return self._slots[_slot(key)] if self._slots else None

    async def _found(self, script: str, key: bytes) -> Server | None:
        """Finds the server of a key without a known one; waits if no slot is known yet."""
        self._refresh_soon()
        if self._refreshing is not None and not self._slots:
            await asyncio.wait([self._refreshing], timeout=self._options.seconds(script))
        return self._of(key)

    def _elsewhere(self, server: Server, reply: str, key: bytes) -> tuple[Server, bool] | None:
        """Returns the server that an error names instead, and whether it needs ASKING first."""
        kind, *rest = reply.split(" ")
        if kind == "CLUSTERDOWN":
            self._refresh_soon()
        if kind not in ("MOVED", "ASK"):
            return None
        host, _, port = rest[-1].rpartition(":")
        named = self._server(host or server.host, int(port))
        if kind == "MOVED":
            self._slots[_slot(key)] = named
            self._refresh_soon()
        return named, kind == "ASK"

    def _server(self, host: str, port: int) -> Server:
        server = self._servers.get((host, port))
        if server is None:
            server = self._servers[host, port] = Server(host, port, self._options, self)
        return server

    def _refresh_soon(self) -> None:
        if self._closed or self._refreshing is not None or self._refresh_timer is not None:
            return
        loop = asyncio.get_running_loop()
        rest = self._refreshed + REFRESH_PAUSE - loop.time()
        if rest > 0:
            self._refresh_timer = loop.call_later(rest, self._refresh_now)
        else:
            self._refresh_now()

    def _refresh_now(self) -> None:
        self._refresh_timer = None
        self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        """Asks one server after the other for the masters of the slots, until one knows."""
        known = list(self._servers)
        random.shuffle(known)
        try:
            for host, port in [*known, *self._seeds]:
                try:
                    self._learn(host, await self._slots_by(host, port))
                except Exception as error:
                    reason = error
                    if not isinstance(error, EXPECTED):
                        log.exception("cache can't be greeted", server=f"{host}:{port}")
                else:
                    break
            else:
                self._note_loss(reason)
        finally:
            self._refreshed = asyncio.get_running_loop().time()
            self._refreshing = None
            if self.unreachable or None in self._slots:
                self._refresh_soon()

    async def _slots_by(self, host: str, port: int) -> list[Any]:
        """Returns a server's list of ranges, each with first slot, last slot, master, replicas.

        Raises:
            OSError: the server can't be asked, or does not know.
        """

        def make() -> Connection:
            options = self._options
            return Connection(
                timeout=options.timeout, patience=options.patience, observe=ignore, lost=ignore
            )

        async with asyncio.timeout(PATIENCE):
            connection = await connect(host, port, self._options.tls, make)
            try:
                await log_in(connection, self._options)
                slots: list[Any] = expect_well(await connection.ask("CLUSTER", "SLOTS"))
            finally:
                await connection.close()
        if not slots:
            raise Unavailable(f"{host}:{port} knows of no slots")
        return slots

    def _learn(self, host: str, ranges: list[Any]) -> None:
        slots: list[Server | None] = [None] * SLOTS
        for first, last, master, *_ in ranges:
            named = (master[0] or b"").decode()
            server = self._server(named if named not in ("", "?") else host, master[1])
            slots[first : last + 1] = [server] * (last + 1 - first)
        self._slots = slots
        owners = set(slots)
        for place, server in list(self._servers.items()):
            if server not in owners:
                del self._servers[place]
                task = asyncio.get_running_loop().create_task(server.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
                if server.breaker.is_open:
                    self._watcher.back(str(server))  # others have its slots
        self._loss = None
        if self._is_lost:
            self._is_lost = False
            self._watcher.back(self._name)

    def _note_loss(self, error: Exception) -> None:
        self._options.count_failure("connect")
        self._loss = error if isinstance(error, OSError) else None
        if not self._is_lost:
            self._is_lost = True
            log.warning("cache lost", server=self._name, error=str(error))
        self._watcher.failed()


async def _insist(
    server: Server,
    reply: Any,
    elsewhere: Callable[[Server, str, bytes], tuple[Server, bool] | None],
    script: str,
    key: bytes,
    *arguments: Word,
) -> Any:
    """Repeats a call after a server's error, if that helps; returns the last reply.

    Each repetition goes to the server that the last error names, or to the same one.
    """
    asking = False
    for _ in range(AGAIN):
        text = str(reply)
        if named := elsewhere(server, text, key):
            server, asking = named
        elif text.startswith("NOSCRIPT"):
            server.renew()
        else:
            if text.startswith(UNFIT):
                server.distrust(reply)
            break
        reply = await server.submit(script, key, *arguments, asking=asking)
        if not isinstance(reply, ReplyError):
            break
    return reply


def _slot(key: bytes) -> int:
    """Returns the key's slot: its CRC-16. Prefixes have no braces, so the whole key counts."""
    return crc_hqx(key, 0) % SLOTS
