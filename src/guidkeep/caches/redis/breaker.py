"""The breaker: a server that failed is not asked for a while.

A few failures in a row open it, or a single silence of the longest wait. While it is open, no call
goes to the server, and none waits. Then one probe goes out: if it succeeds the breaker closes, else
it stays open for longer. A breaker that has just closed opens again at the next failure; only a
successful call restores its trust in the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from guidkeep.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES: Final = 3
"""The number of failures in a row that opens it."""
PROBES: Final = Backoff(first=1.0, longest=5.0)
"""Pauses from the opening to the first probe, and from one probe to the next."""


class Breaker:
    """See the module's text.

    Args:
        pauses: maps the number of failed probes to the seconds until the next one.
    """

    __slots__ = ("_failures", "_pauses", "_probes", "is_open")

    def __init__(self, pauses: Callable[[int], float] = PROBES.seconds) -> None:
        self.is_open = False
        self._pauses = pauses
        self._failures = 0
        self._probes = 0

    def failed(self, *, surely: bool = False) -> float | None:
        """Notes a failed call or probe; returns the seconds to the next probe, if one is due.

        Args:
            surely: whether this failure alone opens it.
        """
        self._failures += FAILURES if surely else 1
        if self._failures < FAILURES:
            return None
        if self.is_open:
            self._probes += 1
        self.is_open = True
        return self._pauses(self._probes)

    def succeeded(self) -> None:
        """Notes a successful call."""
        self._failures = 0
        self._probes = 0

    def close(self) -> None:
        """Notes a successful probe: calls may go out again, but one failure reopens the breaker."""
        self.is_open = False
        self._failures = FAILURES - 1
