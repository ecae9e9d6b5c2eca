"""A server of a store that a test may break; the fixture is `outage`."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from servers.proxy import Proxy


class Outage(NamedTuple):
    """A server that a test may break, and a proxy before it.

    Attributes:
        name: the engine's name.
        server: the server itself.
        proxy: the proxy before it.
        url: the URL of a new, empty database, through the proxy.
    """

    name: str
    server: Any
    proxy: Proxy
    url: str

    def hang(self) -> None:
        self.server.process.signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        self.server.process.signal_all(signal.SIGCONT)
