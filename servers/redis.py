"""Redis: real ones, for tests, benchmarks and the local cluster."""

from __future__ import annotations

import itertools
import os
import signal
import socket
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from servers.processes import Owned, Running, free_port, program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PACKAGE = "redis-server"
_numbers = itertools.count(1)


def new_prefix() -> str:
    """What the keys of one test begin with."""
    return f"guidkeep-{os.getpid()}-{next(_numbers)}:"


def prefix_of(url: str) -> str:
    """The prefix that a place's URL names."""
    return parse_qs(urlsplit(url).query)["prefix"][0]


class Redis(Owned):
    """A server that answers.

    Attributes:
        url: where it is.
        port: its TCP port.
    """

    def __init__(self, url: str, process: Running | None = None) -> None:
        parts = urlsplit(url)
        super().__init__(process)
        self.url = url
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or 6379
        self._login = [unquote(word) for word in (parts.username, parts.password) if word]

    def fresh(self) -> str:
        """The URL of a new, empty place: a prefix of its own."""
        return f"{self.url}?prefix={new_prefix()}"

    def ask(self, *words: str | bytes | float) -> Any:
        """What it answers to that command, on a connection of its own; raises its errors."""
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
        """A field of what INFO says."""
        lines = self.ask("INFO", section).decode().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return str(fields[name])

    def keys(self, url: str) -> list[bytes]:
        """The keys at a place that `fresh` made."""
        found: list[bytes] = self.ask("KEYS", f"{prefix_of(url)}*")
        return found

    def flush(self, url: str) -> None:
        """Deletes all keys at a place that `fresh` made."""
        for key in self.keys(url):
            self.ask("DEL", key)


def at(url: str) -> Redis:
    """A server that runs already."""
    return Redis(url)


@contextmanager
def started(
    folder: Path, *, flags: Sequence[str] = (), core: int | None = None, password: str = ""
) -> Iterator[Redis]:
    """A server of its own, which keeps nothing on disk unless `flags` say so.

    Args:
        folder: where its files and its log go; exists.
        flags: more of the server's, such as `--appendonly yes`.
        core: where it runs; None: anywhere.
        password: what it asks of the user `default`; empty: nothing.

    Raises:
        Missing: it is not installed.
    """
    port = free_port()
    secret = ("--requirepass", password) if password else ()
    process = start(folder, port, flags=[*secret, *flags], core=core)
    login = f"default:{password}@" if password else ""
    server = Redis(f"redis://{login}127.0.0.1:{port}", process)
    try:
        wait_until_it_answers(server)
        yield server
    finally:
        shut_down(server.process)


def start(
    folder: Path, port: int, *, flags: Sequence[str] = (), core: int | None = None
) -> Running:
    """Starts a server in that folder, after it was killed for instance."""
    command = [program("redis-server", package=PACKAGE), "--port", str(port), "--dir", str(folder)]
    command += ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]
    return Running([*command, *flags], folder=folder, core=core)


def wait_until_it_answers(server: Redis) -> None:
    """Returns when commands are answered; fails if the server ends before."""

    def answers() -> bool | None:
        try:
            server.ask("PING")
        except (OSError, hiredis.ReplyError):  # it may be loading its files yet
            return None
        return True

    server.process.wait_for(answers, "answer")


def shut_down(process: Running) -> None:
    """Ends it, though it may be stopped."""
    process.signal(signal.SIGCONT)
    process.stop()
