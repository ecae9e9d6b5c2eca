"""Sockets that a server listens on: one for a process alone, or one for each of several workers.

*One socket each, not one for all.* Sockets that are bound with SO_REUSEPORT share a port, and the
kernel hands each connection to one of them by a hash of its addresses, so workers get about as many
each (measured, two workers: 16 connections as 10 and 6, 256 as 135 and 121). From one socket for
all, whoever wakes first takes what there is (15 and 1, 198 and 58).

*The supervisor keeps them all open.* A connection that waits in the queue of a worker that dies is
therefore not reset: it waits on for the one that takes its place.
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
"""Bytes of a connection that the kernel takes and that are not yet read; it counts twice as much.
It would take megabytes, from clients that send without end too, and they all share its memory."""
UNSENT = 65_536
"""Bytes of answers on a connection that the kernel takes and has not yet sent. What a client does
not read is not made: it would cost time and the kernel's memory."""


def bind(settings: Settings) -> socket.socket:
    """A socket bound to the host and port of the settings. It does not listen yet.

    Raises:
        StartupError: that can't be.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "that is no host"
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
    """As many sockets on one port as there are workers; none lets anybody in yet.

    Raises:
        StartupError: that can't be.
    """
    if sys.platform != "linux":  # pragma: no cover - the tests run where it can be done
        raise StartupError("--workers needs Linux, whose kernel spreads connections over them.")
    with contextlib.ExitStack() as stack:
        # The first is bound alone: with SO_REUSEPORT it would share the port with a second server.
        first = stack.enter_context(contextlib.closing(bind(settings)))
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listeners = []
        for _ in range(settings.workers):
            listener = socket.socket(first.family, first.type)
            listeners.append(stack.enter_context(contextlib.closing(listener)))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(first.getsockname())
        # One listens at once, though it lets nobody in: a second server can't bind the port now.
        let_nobody_in(listeners[0])
        listen(settings, listeners[0])
        yield listeners


def listen(settings: Settings, listener: socket.socket) -> None:
    """Begins to listen.

    Raises:
        StartupError: another bound the port at the same time, and was faster.
    """
    # Connections inherit both; the first before it listens, for the window depends on it (tcp(7)).
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD)
    with contextlib.suppress(AttributeError):  # a system that does not know it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        raise cannot_listen(settings, error) from error


def cannot_listen(settings: Settings, error: OSError) -> StartupError:
    """The error that says so."""
    return StartupError(
        f"Can't listen on {settings.host}:{settings.port}: {error.strerror}. "
        "--port 0 takes a free port."
    )


def address_of(listener: socket.socket) -> str:
    """The URL under which it is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announce(settings: Settings, address: str) -> None:
    """Prints what is served, and where."""
    line = f"Guidkeep {VERSION} serves {redacted(settings.store)} on {address}"
    say(line)
