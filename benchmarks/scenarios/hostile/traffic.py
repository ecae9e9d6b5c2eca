"""An attacker's traffic: a flood of connections, or one request after another.

All traffic is bounded in number and in time, and goes to the loopback address only. The attacker
has another loopback address than the bystander, so that limits per address do not affect it.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HOST = "127.0.0.1"
ATTACKER = "127.0.0.66"
PATIENCE = 60.0
"""Seconds to wait for the responses to an attack."""
SENDING = 15.0
"""Seconds for sending a flood."""
PIECE = 1 << 20
OPENING = 1_000
"""Connections of a flood opened at once: more would overflow the server's backlog."""

NONE = "none"
"""Stands for the status of a request without a response."""


@dataclass(slots=True)
class Traffic:
    """The traffic of an attack.

    Attributes:
        sent: bytes that the attacker sent.
        received: bytes of responses that it read.
        answers: the number of responses by status.
    """

    sent: int = 0
    received: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def add(self, other: Traffic) -> None:
        """Adds other traffic."""
        self.sent += other.sent
        self.received += other.received
        self.answers += other.answers


def request(method: str, path: str, body: bytes = b"", *, headers: Iterable[str] = ()) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Client:
    """Sends one request after another; opens a new connection when the last was closed."""

    def __init__(self, port: int, traffic: Traffic) -> None:
        self._port = port
        self._traffic = traffic
        self._connection: socket.socket | None = None

    def ask(self, sent: bytes, *, patience: float = PATIENCE) -> bytes:
        """Sends a request; returns the body of the response, empty if there was none."""
        try:
            if self._connection is None:
                self._connection = socket.create_connection(
                    (HOST, self._port), patience, source_address=(ATTACKER, 0)
                )
            self._connection.settimeout(patience)
            self._connection.sendall(sent)
            self._traffic.sent += len(sent)
            return self._answer(self._connection)
        except (OSError, HTTPException):
            self._traffic.answers[NONE] += 1
            self.close()
            return b""

    def _answer(self, connection: socket.socket) -> bytes:
        answer = HTTPResponse(connection)
        answer.begin()
        body = bytearray()
        while piece := answer.read(PIECE):
            body += piece
        self._traffic.received += len(body)
        self._traffic.answers[str(answer.status)] += 1
        if answer.will_close:
            self.close()
        return bytes(body)

    def close(self) -> None:
        """Closes the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def ask_all(port: int, requests: Sequence[bytes], *, seconds: float = PATIENCE) -> Traffic:
    """Sends the requests one after another, on one connection, within a time limit."""
    traffic = Traffic()
    client = Client(port, traffic)
    until = time.monotonic() + seconds
    for sent in requests:
        if (left := until - time.monotonic()) <= 0:
            break
        client.ask(sent, patience=left)
    client.close()
    return traffic


class Flood:
    """Many connections at once; each sends its bytes and does not read.

    Args:
        port: the server's port.
        payloads: the bytes that each connection sends.
    """

    def __init__(self, port: int, payloads: Sequence[bytes]) -> None:
        self.traffic = Traffic()
        self._port = port
        self._waiting = list(payloads)
        self._left: dict[socket.socket, memoryview] = {}
        self._open: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()

    def send(self) -> None:
        """Sends all payloads, or as much as the server takes within a time limit."""
        until = time.monotonic() + SENDING
        while time.monotonic() < until and (self._waiting or self._left):
            while self._waiting and len(self._left) < OPENING:
                self._connect(self._waiting.pop())
            for key, _ in self._selector.select(0.05):
                self._push(key.data)

    def finish(self, rest: bytes) -> None:
        """Sends the same few bytes on each connection that is still open."""
        for connection in self._open:
            with suppress(OSError):
                self.traffic.sent += connection.send(rest)

    def close(self) -> Traffic:
        """Reads the start of the first response on each connection, and closes all."""
        for connection in self._open:
            try:
                begin = connection.recv(PIECE)
            except OSError:
                begin = b""
            self.traffic.received += len(begin)
            is_answer = begin.startswith(b"HTTP/1.1 ")
            self.traffic.answers[begin[9:12].decode() if is_answer else NONE] += 1
            connection.close()
        self._selector.close()
        return self.traffic

    def _connect(self, payload: bytes) -> None:
        connection = socket.socket()
        connection.setblocking(False)
        connection.bind((ATTACKER, 0))
        connection.connect_ex((HOST, self._port))
        self._selector.register(connection, selectors.EVENT_WRITE, connection)
        self._left[connection] = memoryview(payload)
        self._open.append(connection)

    def _push(self, connection: socket.socket) -> None:
        left = self._left[connection]
        try:
            done = connection.send(left[:PIECE])
        except BlockingIOError:
            return
        except OSError:  # the server has closed it
            done = len(left)
        else:
            self.traffic.sent += done
        self._left[connection] = left[done:]
        if not self._left[connection]:
            del self._left[connection]
            self._selector.unregister(connection)
