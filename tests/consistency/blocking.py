"""The cache in Redis under virtual time: a real Redis with blocking calls.

The nodes run the shipped code, scripts included, except for the connection. Nothing else runs
during a blocking call, so a call takes no virtual time, and the order of events follows from the
seed. Redis' own clock runs in real time. So everything that ends by that clock lasts longer here
than any run; the end of entries depends on the nodes' clocks.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Self

import hiredis

from guidkeep.caches.redis import scripts as redis_scripts
from guidkeep.caches.redis.cache import RedisCache
from guidkeep.caches.redis.url import RedisAddress
from guidkeep.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.caches.redis.server import Word

LEASE_TIME = 600.0
"""Seconds that leases last, and entries by Redis' clock."""


class InRedis:
    """Yields the cache that the nodes of a run share; see `local.run`.

    Args:
        url: the URL of an empty database in a Redis.
    """

    def __init__(self, url: str) -> None:
        self._address = RedisAddress.parse(url)
        self._servers: BlockingServers

    def __enter__(self) -> Self:
        self._servers = BlockingServers(*self._address.seeds[0])
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        self._servers.hang_up()

    def cache(self) -> RedisCache:
        """A node's cache."""
        cache = RedisCache(
            self._address,
            max_age=60,
            timeout=1,
            patience=1,
            lease_time=LEASE_TIME,
            metrics=Metrics(),
        )
        cache._servers = self._servers
        return cache

    def flush(self) -> None:
        """Flushes the cache."""
        for key in self._servers.command("KEYS", f"{self._address.prefix}*"):
            self._servers.command("DEL", key)


class BlockingServers:
    """One Redis; see `guidkeep.caches.redis.servers.Servers`."""

    unreachable = 0

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=10)
        self._reader = hiredis.Reader(notEnoughData=...)
        texts = redis_scripts.texts("virtual", LEASE_TIME)
        self._names = {name: self.command("SCRIPT", "LOAD", text) for name, text in texts.items()}

    def command(self, *words: Word) -> Any:
        """Returns Redis' reply; raises its errors."""
        command: tuple[Any, ...] = words
        self._socket.sendall(hiredis.pack_command(command))
        while (reply := self._reader.gets()) is ...:
            self._reader.feed(self._socket.recv(65_536))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def peek(self, key: bytes, now: float, take: Callable[[Any], None]) -> bool:
        take(self._run("peek", key, now))
        return True

    async def ask(self, script: str, key: bytes, *arguments: Word) -> Any:
        return self._run(script, key, *arguments)

    def usable(self, key: bytes) -> bool:
        return True

    async def ping(self) -> None:
        self.command("PING")

    async def close(self) -> None:
        """Does nothing: the next node uses the connection too."""

    def hang_up(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def _run(self, script: str, key: bytes, *arguments: Word) -> Any:
        if script in ("fill", "settle"):
            token, until, _, answer = arguments
            arguments = (token, until, round(LEASE_TIME * 1000), answer)
        return self.command("EVALSHA", self._names[script], 1, key, *arguments)
