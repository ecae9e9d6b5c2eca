"""Clients: each is an IPv4 address, or a /64 of IPv6 (RFC 6177 §2)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

PREFIX_LENGTH = 8
"""Bytes of an IPv6 address that identify the client's network."""


def client_of(host: str | None) -> Hashable:
    """Returns the client of an address; None if the connection has no address."""
    if host is None or ":" not in host:
        return host
    address = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    is_mapped = address.startswith(bytes(10) + b"\xff\xff")
    return socket.inet_ntoa(address[12:]) if is_mapped else address[:PREFIX_LENGTH]
