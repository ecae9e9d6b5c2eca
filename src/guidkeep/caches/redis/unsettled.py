"""The GUIDs that a node could not settle: it does not trust their entries in the cache.

A GUID is remembered from the failure until it was dropped in the cache (`forget`), or until no
entry from before the failure can be left there (`expire`).

The memory is bounded. Beyond `limit` GUIDs the node does not trust the entry of any GUID, until
that time has passed since the last failure that it could not note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT: Final = 250_000
"""GUIDs at most: some 70 MB."""


class Mark(NamedTuple):
    """The time of a failure, and its number in order."""

    since: float
    number: int


class Unsettled:
    """See the module's text.

    Args:
        lasting: seconds after which no entry from before a failure can be left.
        clock: a monotonic clock, in seconds.
        limit: the number of GUIDs to remember at most.
    """

    def __init__(self, *, lasting: float, clock: Callable[[], float], limit: int = LIMIT) -> None:
        self._lasting = lasting
        self._clock = clock
        self._limit = limit
        self._marks: dict[str, Mark] = {}  # the oldest first
        self._number = 0
        self._distrust_until: float | None = None

    def __len__(self) -> int:
        """Returns the number of GUIDs remembered."""
        return len(self._marks)

    def __bool__(self) -> bool:
        """Whether the cache is not trusted for some GUID."""
        return bool(self._marks) or self._distrust_until is not None

    def __contains__(self, guid: str) -> bool:
        """Whether the cache is not trusted for that GUID."""
        return guid in self._marks or (
            self._distrust_until is not None and self._clock() < self._distrust_until
        )

    def remember(self, guid: str) -> None:
        """Notes a failure."""
        self._number += 1
        mark = Mark(self._clock(), self._number)
        self._marks.pop(guid, None)  # it becomes the youngest
        if len(self._marks) < self._limit:
            self._marks[guid] = mark
        else:
            self._distrust_until = mark.since + self._lasting

    def pending(self) -> list[str]:
        """Returns the GUIDs to drop."""
        return list(self._marks)

    def mark(self, guid: str) -> Mark | None:
        """Returns the GUID's last failure; None: it is not remembered, or no longer."""
        return self._marks.get(guid)

    def forget(self, guid: str, mark: Mark | None) -> bool:
        """Forgets a GUID that was dropped after that failure, if it has had no later one.

        Returns:
            Whether it was forgotten.
        """
        if mark is None or self._marks.get(guid) != mark:
            return False
        del self._marks[guid]
        return True

    def expire(self) -> None:
        """Forgets the failures whose entries can't be left in the cache."""
        now = self._clock()
        if self._distrust_until is not None and now >= self._distrust_until:
            self._distrust_until = None
        while self._marks:
            guid = next(iter(self._marks))
            if now < self._marks[guid].since + self._lasting:
                break
            del self._marks[guid]
