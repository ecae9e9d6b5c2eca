"""The GUIDs that a node could not settle: what a cache says of them is not to be believed.

A GUID is remembered from the failure until it was dropped in the cache (`forget`), or until
nothing can be left there that was put in before the failure (`expire`).

A memory has its bounds. Beyond `limit` GUIDs the node believes nothing that the cache says, of
any GUID, until that time has passed since the last failure that it could not note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT: Final = 250_000
"""GUIDs at most: some 70 MB."""


class Mark(NamedTuple):
    """A failure: when it was, and the how manieth."""

    since: float
    number: int


class Unsettled:
    """See the module's text.

    Args:
        lasting: seconds after which no entry can be left that was filled before a failure.
        clock: seconds of a clock that only goes forward.
        limit: GUIDs remembered at most.
    """

    def __init__(self, *, lasting: float, clock: Callable[[], float], limit: int = LIMIT) -> None:
        self._lasting = lasting
        self._clock = clock
        self._limit = limit
        self._marks: dict[str, Mark] = {}  # the oldest first
        self._number = 0
        self._distrust_until: float | None = None

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._marks)

    def __bool__(self) -> bool:
        """Whether there is any GUID about which the cache is not to be believed."""
        return bool(self._marks) or self._distrust_until is not None

    def __contains__(self, guid: str) -> bool:
        """Whether the cache is not to be believed about that GUID."""
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
        """The GUIDs that are to be dropped."""
        return list(self._marks)

    def mark(self, guid: str) -> Mark | None:
        """That GUID's last failure; None: it is not remembered, or not any more."""
        return self._marks.get(guid)

    def forget(self, guid: str, mark: Mark | None) -> bool:
        """It was dropped after that failure. Says whether that was its last one."""
        if mark is None or self._marks.get(guid) != mark:
            return False
        del self._marks[guid]
        return True

    def expire(self) -> None:
        """Forgets what can't matter any more."""
        now = self._clock()
        if self._distrust_until is not None and now >= self._distrust_until:
            self._distrust_until = None
        while self._marks:
            guid = next(iter(self._marks))
            if now < self._marks[guid].since + self._lasting:
                break
            del self._marks[guid]
