"""Responses that are made while they are sent.

uvicorn waits in `send` until the client has read most of what it was sent before. An empty message
follows each piece, only for that wait: so a piece is made when the client is ready for it, and is
up to date at that moment.
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
    """A `guidkeep.http.responses.Response` whose content is made in pieces.

    An error in the first piece becomes a problem. An error in a later piece closes the connection,
    so that the client cannot take an incomplete response for a complete one.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    pieces: AsyncGenerator[bytes, None]
    shared: Shared = NOT_KEPT

    async def begun(self) -> StreamedResponse:
        """Returns the response with its first piece made."""
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
        response: the response.
        headers: all of its headers.
        stream: the request's stream.
        scope: the request's scope.
        send: takes the messages.

    Raises:
        ClientLeft: the client has closed the connection.
        Exception: an error of a piece.
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
