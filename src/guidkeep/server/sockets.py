"""The sockets that a server listens on: one for a single process, or one for each worker.

*One socket per worker.* Sockets that are bound with SO_REUSEPORT share a port. The kernel assigns
each connection to one of them by a hash of its addresses, so the workers get similar numbers
(measured with two workers: 16 connections as 10 and 6, 256 as 135 and 121). With one socket for
all, the worker that wakes first takes most connections (15 and 1, 198 and 58).

*The supervisor keeps all sockets open.* So when a worker dies, the connections in its accept queue
are not reset. They wait for the worker that replaces it.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import TYPE_CHECKING

from guidkeep.errors import StartupError
from guidkeep.server.listening import let_nobody_in
from guidkeep.system.version import VERSION
from guidkeep.system.writer import say
from guidkeep.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guidkeep.settings import Settings

BACKLOG = 2048
UNREAD = 131_072
"""Bytes per connection that the kernel buffers before they are read (it reserves twice as much).
By default it would buffer megabytes, even from clients that never stop sending, and all connections
share its memory."""
UNSENT = 65_536
"""Bytes of responses per connection that the kernel buffers before they are sent. The rest is made
when the client has read these: making it earlier would cost time and the kernel's memory."""


def bind(settings: Settings) -> socket.socket:
    """Returns a socket bound to the host and port of the settings. It does not listen yet.

    Raises:
        StartupError: there is no such host, or the port can't be bound.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a host name"
        raise StartupError(f"Can't listen on {settings.host}: {reason}.") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise cannot_listen(settings, error) from error
    return listener


@contextlib.contextmanager
def bound_together(settings: Settings) -> Iterator[list[socket.socket]]:
    """Yields one socket per worker, all on one port. No client can connect yet.

    Raises:
        StartupError: the port can't be bound, or the system is not Linux.
    """
    if sys.platform != "linux":  # pragma: no cover - the tests run on Linux
        raise StartupError("--workers needs Linux, whose kernel spreads connections over workers.")
    with contextlib.ExitStack() as stack:
        # The first is bound without SO_REUSEPORT: with it, a second server could share the port.
        first = stack.enter_context(contextlib.closing(bind(settings)))
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listeners = []
        for _ in range(settings.workers):
            listener = socket.socket(first.family, first.type)
            listeners.append(stack.enter_context(contextlib.closing(listener)))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(first.getsockname())
        # One listens at once, with new clients dropped, so that no second server binds the port.
        let_nobody_in(listeners[0])
        listen(settings, listeners[0])
        yield listeners


def listen(settings: Settings, listener: socket.socket) -> None:
    """Begins to listen.

    Raises:
        StartupError: another process bound the port at the same time, and was faster.
    """
    # Connections inherit both options. SO_RCVBUF has to be set before listen(): the window depends
    # on it (tcp(7)).
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD)
    with contextlib.suppress(AttributeError):  # a system without this option
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        raise cannot_listen(settings, error) from error


def cannot_listen(settings: Settings, error: OSError) -> StartupError:
    """Returns the error for a port that can't be bound."""
    return StartupError(
        f"Can't listen on {settings.host}:{settings.port}: {error.strerror}. "
        "--port 0 takes a free port."
    )


def address_of(listener: socket.socket) -> str:
    """Returns the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announce(settings: Settings, address: str) -> None:
    """Prints the store and the address that the server serves."""
    line = f"Guidkeep {VERSION} serves {redacted(settings.store)} on {address}"
    say(line)
