"""Objects that each process has for itself: after a fork the child makes its own.

Two processes that share a connection would read each other's responses.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Owned = TypeVar("Owned")


class PerProcess(Generic[Owned]):
    """An object that `make` makes once in each process that uses it.

    Args:
        make: makes the object.
        process: returns the id of the current process.
    """

    def __init__(self, make: Callable[[], Owned], process: Callable[[], int] = os.getpid) -> None:
        self._make = make
        self._process = process
        # By process. Inherited objects stay open: closing one could wait for a lock that a thread
        # of the parent held at the fork.
        self._owned = {process(): make()}

    def own(self) -> Owned:
        """Returns the object of this process, the same in all its threads."""
        process = self._process()
        if process not in self._owned:
            self._owned.setdefault(process, self._make())
        return self._owned[process]
