"""What application and connection tell each other beyond ASGI's messages.

These are extensions in ASGI's sense: keys of `scope["extensions"]`. Under a server that does not
have them, and beneath middleware that reads the messages, the application does without.
"""

from __future__ import annotations

from typing import Protocol

CONNECTION = "guidkeep.connection"
"""What the connection does for the request. `begin_stream` returns the request's `Stream`.
`take_whole_body` returns the body, if all of it is there, without a message; else None.
`body_taken` is called when the application has taken what came of the body, and `response_waits`
with the size of a whole response that can't be sent at once."""

WHOLE_RESPONSE = "guidkeep.whole_response"
"""Sends a response in one write to the socket, in place of two. Its `send` takes the status, the
headers as lines, and the body, and returns False if it can't."""

BEGAN = "guidkeep.began"
"""`at` which `perf_counter()` the server began to work on the request, where that is not now."""


class Stream(Protocol):
    """A request that is read, or whose response is sent, piece by piece.

    Attributes:
        takes: whether the application takes what the client sends. As long as it does the client
            need not read: it may mean to send everything first.
    """

    takes: bool

    def read_on(self) -> None:
        """The application reads the body as it comes, and sees to it that it does come."""
        ...

    def has_left(self) -> bool:
        """Whether the client has closed the connection."""
        ...

    def finish(self) -> None:
        """The last message follows; what the client still sends is thrown away."""
        ...

    def cut(self) -> None:
        """Ends the connection in the middle of the response."""
        ...


class NoStream:
    """The stream under a server without the extension `CONNECTION`."""

    takes = True

    def read_on(self) -> None:
        """Does nothing."""

    def has_left(self) -> bool:
        """Not as far as is known."""
        return False

    def finish(self) -> None:
        """Does nothing."""

    def cut(self) -> None:
        """Raises ConnectionAbortedError, with which the server ends the connection."""
        raise ConnectionAbortedError("the response could not be finished")
