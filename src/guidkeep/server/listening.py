"""How a server stops listening without resetting clients that are connected already.

The kernel completes a client's TCP handshake before the server accepts the connection. Closing the
listening socket resets the connections that wait in the accept queue, even if their requests have
been sent. So the server first makes the kernel drop new connection attempts. It goes on accepting
for a moment, and closes the socket when the queue is empty.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys

SO_ATTACH_FILTER = 26  # linux/asm-generic/socket.h; the socket module does not name them
SO_DETACH_FILTER = 27

# A classic BPF program (socket(7), linux/filter.h). It sees each segment for the socket, from the
# TCP header on. It drops segments that open a connection (SYN without ACK), so the client tries
# again and then finds the port closed. All other segments pass.
_DROP_SYN = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the byte at 13: the flags
        (0x54, 0, 0, 0x12),  # and with SYN | ACK
        (0x15, 0, 1, 0x02),  # SYN alone?
        (0x06, 0, 0, 0),  # yes: drop
        (0x06, 0, 0, 0xFFFF_FFFF),  # no: keep all of it
    )
)


def let_nobody_in(listener: socket.socket) -> None:
    """Lets no further client connect; connections in the queue can still be accepted.

    Only Linux can do this. Elsewhere nothing happens, and a client that connects at the moment in
    which the server stops may be reset.
    """
    if sys.platform != "linux":  # pragma: no cover - the tests run on Linux
        return
    program = ctypes.create_string_buffer(_DROP_SYN)
    description = struct.pack("HP", len(_DROP_SYN) // 8, ctypes.addressof(program))
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, description)


def let_everybody_in(listener: socket.socket) -> None:
    """Lets clients connect again; does nothing if they may already."""
    if sys.platform != "linux":  # pragma: no cover - as above
        return
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
