"""HTTP byte by byte: clients that send any bytes and read the responses one by one."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

GUID = "9094E4C980C74043A4B586B420E69DDF"
_status = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n").match


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def is_problem(self, status: int) -> bool:
        """Whether it is a complete RFC 9457 problem of that status, with a sentence."""
        assert self.status == status, self
        assert self.headers["content-type"] == "application/problem+json"
        assert self.json["status"] == status
        assert {"type", "title", "detail"} <= self.json.keys()
        return len(self.json["detail"]) > 20


def parse(data: bytes, *, to_head: bool = False) -> tuple[Answer, bytes] | None:
    """The first response in `data` and the rest, or None if it is not complete yet."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    found = _status(head + b"\r\n")
    assert found, f"not an answer: {data[:200]!r}"
    fields = [line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:]]
    headers = {name.lower(): value.strip() for name, _, value in fields}
    length = 0 if to_head else int(headers.get("content-length", "0"))
    if len(rest) < length:
        return None
    return Answer(int(found[1]), headers, rest[:length]), rest[length:]


def request(method: str, path: str, body: bytes | None = None, *headers: str) -> bytes:
    """A request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def record(user: str = "Ann", **members: Any) -> bytes:
    """The body of a write."""
    return json.dumps({"user": user, **members}).encode()


class Wire:
    """A blocking connection; no call waits for longer than `timeout` seconds."""

    def __init__(
        self, address: str, *, timeout: float = 5, receive_buffer: int = 0, source: str = ""
    ) -> None:
        parts = urlsplit(address)
        self.socket = socket.socket()
        if source:
            self.socket.bind((source, 0))
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket.connect((parts.hostname, parts.port))
        except OSError:
            self.socket.close()
            raise
        self._data = b""

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def answer(self, *, to_head: bool = False) -> Answer:
        """The next response."""
        while (found := parse(self._data, to_head=to_head)) is None:
            more = self.socket.recv(65_536)
            assert more, f"closed before an answer: {self._data!r}"
            self._data += more
        answer, self._data = found
        return answer

    def ask(self, method: str, path: str, body: bytes | None = None, *headers: str) -> Answer:
        self.send(request(method, path, body, *headers))
        return self.answer(to_head=method == "HEAD")

    def is_closed(self) -> bool:
        """Waits until the server closes; returns whether it did so without sending more."""
        return self.rest() == b""

    def rest(self) -> bytes:
        """Everything until the server closes."""
        try:
            while more := self.socket.recv(65_536):
                self._data += more
        except ConnectionResetError:
            pass
        rest, self._data = self._data, b""
        return rest

    def reset(self) -> None:
        """Resets the connection, without a trace in the kernel."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@contextmanager
def wired(
    address: str, *, timeout: float = 5, receive_buffer: int = 0, source: str = ""
) -> Iterator[Wire]:
    wire = Wire(address, timeout=timeout, receive_buffer=receive_buffer, source=source)
    try:
        yield wire
    finally:
        wire.socket.close()


class Lost(Exception):
    """The connection ended before the response arrived."""


class Connection:
    """One connection for tests that need many of them at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._data = b""

    @classmethod
    async def to(cls, address: str) -> Connection:
        parts = urlsplit(address)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def ask(self, method: str, path: str, body: bytes | None = None, *headers: str) -> Answer:
        """Sends a request and returns its response.

        Raises:
            Lost: the connection ended before that.
        """
        try:
            self._writer.write(request(method, path, body, *headers))
            while (found := parse(self._data, to_head=method == "HEAD")) is None:
                more = await self._reader.read(65_536)
                if not more:
                    raise Lost(f"{method} {path}: closed after {self._data!r}")
                self._data += more
        except ConnectionError as error:
            raise Lost(f"{method} {path}: {error!r}") from error
        answer, self._data = found
        return answer

    def close(self) -> None:
        self._writer.close()
