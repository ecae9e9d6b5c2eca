"""The hosts that a server accepts.

A page on the web can make a browser believe that its own name has moved to 127.0.0.1 (DNS
rebinding). For the browser the service then has that page's origin, and the page may read and
write everything. But the request's Host still names the page's host: a server on a loopback address
accepts only loopback names and addresses, and the hosts that the operator lists.

Clients that send no Host, which HTTP/1.0 allows, are not browsers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.errors import MisdirectedRequest
from guidkeep.record import shortened
from guidkeep.wire.origins import is_loopback, split_authority

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guidkeep.http.requests import Request

KNOWN = 256
"""The most accepted values of Host that are remembered."""


class Hosts:
    """The accepted hosts.

    Args:
        names: the hosts that the operator lists, normalised.
        bound: the address or name that the server listens on.

    Attributes:
        known: accepted values of Host, as received; None if all are accepted. A hit is served only
            for one of these; a request with another value goes to the application.
    """

    def __init__(self, names: Iterable[str], *, bound: str) -> None:
        self._names = frozenset(names)
        self._is_loopback = bound == "localhost" or is_loopback(bound)
        self.known: set[bytes] | None = set() if self._is_loopback or self._names else None

    def require(self, request: Request) -> None:
        """Lets the request pass if this server accepts its host.

        Raises:
            MisdirectedRequest: it names another host.
        """
        host = request.headers.get(b"host")
        if self.known is None or host is None or host in self.known:
            return
        if not self._answers_to(host):
            raise MisdirectedRequest(self._refusal(host))
        if len(self.known) >= KNOWN:
            self.known.clear()
        self.known.add(host)

    def _answers_to(self, authority: bytes) -> bool:
        try:
            host, _ = split_authority(authority.decode("ascii"))
        except ValueError:
            return False
        host = host.removesuffix(".")
        is_own = self._is_loopback and (host == "localhost" or is_loopback(host))
        return is_own or host in self._names

    def _refusal(self, authority: bytes) -> str:
        given = shortened(authority.decode("latin-1"))
        answered = sorted(self._names)
        if self._is_loopback:
            answered = ["localhost", "127.0.0.0/8", "[::1]", *answered]
        return (
            f"The request is for the host {given!r}, but this server answers only to "
            f"{', '.join(answered)}. If that host is meant to lead here, list it in "
            "--allow-host."
        )
