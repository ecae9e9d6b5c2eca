"""The interface between application and connection beyond ASGI's messages.

These are ASGI extensions: keys of `scope["extensions"]`. Under a server that does not offer them,
and beneath middleware that reads the messages, the application works without them.
"""

from __future__ import annotations

from typing import Protocol

CONNECTION = "guidkeep.connection"
"""Functions of the connection. `begin_stream` returns the request's `Stream`. `take_whole_body`
returns the body without a message if it is complete, or else None. The application calls
`body_taken` when it has taken the received part of the body, and `response_waits` with the size of
a whole response that can't be sent at once."""

WHOLE_RESPONSE = "guidkeep.whole_response"
"""Sends a response with one write to the socket instead of two. Its `send` takes the status, the
headers as lines, and the body, and returns False if that is not possible."""

BEGAN = "guidkeep.began"
"""`at`: the `perf_counter()` at which the server began to process the request, if not now."""


class Stream(Protocol):
    """A request that is read, or whose response is sent, in pieces.

    Attributes:
        takes: whether the application reads what the client sends. While it does, the client need
            not read: it may intend to send everything first.
    """

    takes: bool

    def read_on(self) -> None:
        """Lets the application read the body as it arrives, and limit the time for that itself."""
        ...

    def has_left(self) -> bool:
        """Whether the client has closed the connection."""
        ...

    def finish(self) -> None:
        """Called before the last message; bytes that the client still sends are discarded."""
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
        """Returns False: it is not known."""
        return False

    def finish(self) -> None:
        """Does nothing."""

    def cut(self) -> None:
        """Raises ConnectionAbortedError, with which the server ends the connection."""
        raise ConnectionAbortedError("the response could not be finished")
