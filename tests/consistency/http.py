"""Sends the clients' requests over HTTP, on one kept-alive connection per node."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.consistency.operations import METHODS, Seen, members_of
from tests.consistency.workload import NotAsked
from tests.server.wire import parse, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.consistency.operations import Operation
    from tests.server.wire import Answer

PIECE = 65_536
REST = 0.02
"""Seconds that a client waits when a node can't be reached."""


class Connections:
    """One client's.

    Args:
        addresses: the addresses of the nodes.
        patience: seconds to wait for a response.
    """

    def __init__(self, addresses: Sequence[str], *, patience: float) -> None:
        self._addresses = addresses
        self._patience = patience
        self._open: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def ask(self, operation: Operation) -> None:
        """See `workload.Transport`."""
        try:
            reader, writer = await self._connection(operation.node)
        except OSError as error:
            await asyncio.sleep(REST)
            raise NotAsked from error
        try:
            async with asyncio.timeout(self._patience):
                answer = await _exchange(reader, writer, _request(operation))
        except (OSError, TimeoutError):
            self._drop(operation.node)
            return
        if answer.headers.get("connection") == "close":
            self._drop(operation.node)
        _note(operation, answer)

    def close(self) -> None:
        """Closes all connections."""
        for node in list(self._open):
            self._drop(node)

    async def _connection(self, node: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if node not in self._open:
            parts = urlsplit(self._addresses[node])
            async with asyncio.timeout(self._patience):
                self._open[node] = await asyncio.open_connection(parts.hostname, parts.port)
        return self._open[node]

    def _drop(self, node: int) -> None:
        _, writer = self._open.pop(node)
        writer.transport.abort()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: bytes
) -> Answer:
    writer.write(question)
    data = b""
    while (found := parse(data)) is None:
        piece = await reader.read(PIECE)
        if not piece:
            raise ConnectionResetError("closed before an answer")
        data += piece
    return found[0]


def _request(operation: Operation) -> bytes:
    headers = []
    if operation.if_match is not None:
        headers.append(f'If-Match: "{operation.if_match}"')
    if operation.if_none_match == "*":
        headers.append("If-None-Match: *")
    elif operation.if_none_match is not None:
        headers.append(f'If-None-Match: "{operation.if_none_match}"')
    body = None
    if operation.kind not in ("read", "delete"):
        expire = {} if operation.expire is None else {"expire": str(operation.expire)}
        body = json.dumps({**expire, **operation.changes}).encode()
    return request(METHODS[operation.kind], f"/guid/{operation.guid}", body, *headers)


def _note(operation: Operation, answer: Answer) -> None:
    operation.status = answer.status
    if answer.status in (200, 201):
        found = answer.json
        assert found["guid"] == operation.guid, f"another record's answer: {answer}"
        etag = int(answer.headers["etag"].strip('"'))
        operation.seen = Seen(members_of(found), int(found["expire"]), etag)
    elif answer.body:
        operation.problem = answer.json["type"].rpartition(":")[2]
