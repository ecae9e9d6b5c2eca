"""The breaker: a server that failed is not asked for a while.

It takes a few failures in a row, or one silence for as long as anybody waits.
While it is open nothing is asked and nobody waits. Then one probe goes out: if it comes back the
breaker closes, else it stays open for longer. A breaker that has just closed opens at the next
failure: it takes a call that went well to have it trust the server again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from guidkeep.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES: Final = 3
"""So many in a row open it."""
PROBES: Final = Backoff(first=1.0, longest=5.0)
"""From opening to the first probe, and from one probe to the next."""


class Breaker:
    """See the module's text.

    Args:
        pauses: from the number of probes that failed to the seconds until the next.
    """

    __slots__ = ("_failures", "_pauses", "_probes", "is_open")

    def __init__(self, pauses: Callable[[int], float] = PROBES.seconds) -> None:
        self.is_open = False
        self._pauses = pauses
        self._failures = 0
        self._probes = 0

    def failed(self, *, surely: bool = False) -> float | None:
        """A call or a probe failed; returns the seconds to the next probe, if there has to be.

        Args:
            surely: whether this one is enough to open it.
        """
        self._failures += FAILURES if surely else 1
        if self._failures < FAILURES:
            return None
        if self.is_open:
            self._probes += 1
        self.is_open = True
        return self._pauses(self._probes)

    def succeeded(self) -> None:
        """A call went well."""
        self._failures = 0
        self._probes = 0

    def close(self) -> None:
        """A probe went well: the server may be asked again, and is still under suspicion."""
        self.is_open = False
        self._failures = FAILURES - 1
