"""Responses that are made while they are sent, and requests that are read meanwhile.

uvicorn waits in `send` until the client has read most of what it was sent before. An empty message
follows each piece, only for that wait: so a piece is made when the client is ready for it, and is
right at that moment.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from guidkeep.http.requests import ClientLeft
from guidkeep.http.responses import NOT_KEPT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from guidkeep.http.extensions import Stream
    from guidkeep.http.requests import Scope, Send
    from guidkeep.http.responses import Shared


class StreamedResponse(NamedTuple):
    """A response in pieces: a `guidkeep.http.responses.Response` whose content is made by and by.

    What the first piece raises becomes a problem; what a later one raises ends the connection, so
    that the client can't take what it has for the whole.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    pieces: AsyncGenerator[bytes, None]
    shared: Shared = NOT_KEPT

    async def begun(self) -> StreamedResponse:
        """The same with its first piece made."""
        first = await anext(self.pieces, b"")
        return self._replace(pieces=_again(first, self.pieces))


async def send_pieces(
    response: StreamedResponse,
    headers: list[tuple[bytes, bytes]],
    stream: Stream,
    scope: Scope,
    send: Send,
) -> None:
    """Sends a response, of which the first piece is made, as fast as the client reads it.

    Args:
        response: what is sent.
        headers: all of its headers.
        stream: of the request.
        scope: of the request.
        send: takes the messages.

    Raises:
        ClientLeft: it does not read it any more.
        Exception: whatever a piece raises.
    """
    async with aclosing(response.pieces) as pieces:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        async for piece in pieces:
            if scope["method"] == "HEAD":
                break
            for content in (piece, b""):
                await send({"type": "http.response.body", "body": content, "more_body": True})
            if stream.has_left():
                raise ClientLeft
        stream.finish()
        await send({"type": "http.response.body", "body": b""})


async def _again(first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(pieces):
        yield first
        async for piece in pieces:
            yield piece
