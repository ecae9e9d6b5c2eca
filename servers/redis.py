"""Redis: real ones, for tests, benchmarks and the local cluster."""

from __future__ import annotations

import itertools
import os
import socket
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from servers import PACKAGE_OF
from servers.processes import Owned, Running, free_port, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

PACKAGE = PACKAGE_OF["redis-server"]
_numbers = itertools.count(1)


def new_prefix() -> str:
    """The prefix of the keys of one test."""
    return f"guidkeep-{os.getpid()}-{next(_numbers)}:"


def prefix_of(url: str) -> str:
    """The prefix in a URL."""
    return parse_qs(urlsplit(url).query)["prefix"][0]


class Redis(Owned):
    """A server; see `Owned`.

    Attributes:
        url: its address.
        port: its TCP port.
    """

    def __init__(self, url: str, launch: Callable[[], Running] | None = None) -> None:
        super().__init__(launch)
        parts = urlsplit(url)
        self.url = url
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or 6379
        self._login = [unquote(word) for word in (parts.username, parts.password) if word]

    def fresh(self) -> str:
        """A URL with a new prefix, under which there are no keys."""
        return f"{self.url}?prefix={new_prefix()}"

    def ask(self, *words: str | bytes | float) -> Any:
        """Sends a command on a new connection and returns the reply; raises error replies."""
        with closing(socket.create_connection((self.host, self.port), timeout=10)) as connection:
            reader = hiredis.Reader(notEnoughData=...)
            commands: list[tuple[Any, ...]] = [("AUTH", *self._login), words]
            for command in commands if self._login else commands[1:]:
                connection.sendall(hiredis.pack_command(command))
                while (reply := reader.gets()) is ...:
                    data = connection.recv(65_536)
                    if not data:
                        raise ConnectionResetError("Redis closed the connection")
                    reader.feed(data)
                if isinstance(reply, Exception):
                    raise reply
            return reply

    def info(self, section: str, name: str) -> str:
        """A field of INFO's reply."""
        lines = self.ask("INFO", section).decode().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return str(fields[name])

    def keys(self, url: str) -> list[bytes]:
        """The keys under the prefix of a URL from `fresh`."""
        found: list[bytes] = self.ask("KEYS", f"{prefix_of(url)}*")
        return found

    def flush(self, url: str) -> None:
        """Deletes the keys under the prefix of a URL from `fresh`."""
        for key in self.keys(url):
            self.ask("DEL", key)

    def answers(self) -> bool | None:
        """See `Owned`."""
        try:
            self.ask("PING")
        except (OSError, hiredis.ReplyError):  # it may still be loading its files
            return None
        return True


def at(url: str) -> Redis:
    """A server that is running already."""
    return Redis(url)


def own(
    folder: Path, *, flags: Sequence[str] = (), core: int | None = None, password: str = ""
) -> Redis:
    """A new server, not started yet, which keeps nothing on disk unless `flags` say so.

    Args:
        folder: for its files and its log; exists.
        flags: further flags of the server, such as `--appendonly yes`.
        core: the core it runs on; None: any.
        password: the password of the user `default`; empty: none.

    Raises:
        Missing: it is not installed.
    """
    port = free_port()
    command = [program("redis-server", package=PACKAGE), "--port", str(port), "--dir", str(folder)]
    command += ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]
    command += ["--requirepass", password] if password else []
    login = f"default:{password}@" if password else ""
    launch = partial(Running, [*command, *flags], folder=folder, core=core)
    return Redis(f"redis://{login}127.0.0.1:{port}", launch)


@contextmanager
def started(
    folder: Path, *, flags: Sequence[str] = (), core: int | None = None, password: str = ""
) -> Iterator[Redis]:
    """A new, running server; see `own`."""
    server = own(folder, flags=flags, core=core, password=password)
    try:
        server.start()
        yield server
    finally:
        server.stop()
