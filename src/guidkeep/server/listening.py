"""How a server stops listening without turning away a client that got through.

A client is connected when the kernel has shaken hands with it, which is before the server accepts
it. Closing the listening socket resets whoever waits in that queue, though the request may have
been sent already. So before it is closed the kernel is told to let no further client in; the server
goes on accepting for a moment, and closes when the queue is empty.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys

SO_ATTACH_FILTER = 26  # linux/asm-generic/socket.h; the socket module does not name them
SO_DETACH_FILTER = 27

# A classic BPF program (socket(7), linux/filter.h) on segments that come for the socket, which
# begin with the TCP header: those that ask for a connection (SYN without ACK) are dropped, so the
# client tries again and then finds nobody; all others pass.
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
    """Lets no further client connect; those that did can still be accepted.

    Where the system does not know how, nothing happens: then a client that connects in the very
    moment in which the server stops may be reset.
    """
    if sys.platform != "linux":  # pragma: no cover - the tests run where the kernel can do it
        return
    program = ctypes.create_string_buffer(_DROP_SYN)
    description = struct.pack("HP", len(_DROP_SYN) // 8, ctypes.addressof(program))
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, description)


def let_everybody_in(listener: socket.socket) -> None:
    """Lets clients connect again; nothing happens if they may."""
    if sys.platform != "linux":  # pragma: no cover - as above
        return
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
