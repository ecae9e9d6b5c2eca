"""What each process has for itself: after a fork the child makes its own.

Two processes that share a connection would read each other's answers.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Owned = TypeVar("Owned")


class PerProcess(Generic[Owned]):
    """Something that `make` makes, once in each process that asks for it.

    Args:
        make: makes it.
        process: returns the id of the process that asks.
    """

    def __init__(self, make: Callable[[], Owned], process: Callable[[], int] = os.getpid) -> None:
        self._make = make
        self._process = process
        self._owner = process()
        self._owned = make()
        self._inherited: list[Owned] = []

    def own(self) -> Owned:
        """That of this process."""
        if self._owner != self._process():
            # Kept, not closed: to close it could wait for a lock that a thread of the parent held.
            self._inherited.append(self._owned)
            self._owned, self._owner = self._make(), self._process()
        return self._owned
