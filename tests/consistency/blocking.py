"""The cache in Redis under virtual time: a real Redis, asked by those who wait for its answer.

What a node does with it is the shipped code, scripts included; only its connection is another one.
Since nothing else goes on while it waits, a call takes no time and its place in the course of
events is the seed's. Redis' own clock runs on, as fast as the machine lets it: what ends by that
clock lasts longer here than any run. That an entry ends on time is the nodes' clocks' affair.
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
    """What the nodes of a run share; see `local.run`. Lasts as long as the `with` block.

    Args:
        url: of an empty place in a Redis.
    """

    def __init__(self, url: str) -> None:
        self._address = RedisAddress.parse(url)
        self._nodes: BlockingNodes

    def __enter__(self) -> Self:
        self._nodes = BlockingNodes(*self._address.seeds[0])
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        self._nodes.hang_up()

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
        cache._nodes = self._nodes
        return cache

    def flush(self) -> None:
        """Lets it forget everything."""
        for key in self._nodes.command("KEYS", f"{self._address.prefix}*"):
            self._nodes.command("DEL", key)


class BlockingNodes:
    """One Redis; see `guidkeep.caches.redis.nodes.Nodes`."""

    unreachable = 0

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=10)
        self._reader = hiredis.Reader(notEnoughData=...)
        texts = redis_scripts.texts("virtual", LEASE_TIME)
        self._names = {name: self.command("SCRIPT", "LOAD", text) for name, text in texts.items()}

    def command(self, *words: Word) -> Any:
        """What it answers; raises its errors."""
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
        """Nothing: the next node uses it too."""

    def hang_up(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def _run(self, script: str, key: bytes, *arguments: Word) -> Any:
        if script in ("fill", "settle"):
            token, until, _, answer = arguments
            arguments = (token, until, round(LEASE_TIME * 1000), answer)
        return self.command("EVALSHA", self._names[script], 1, key, *arguments)
