"""One budget of bytes for everything that requests in flight hold in memory.

*What counts.* What has arrived and is not yet a whole request: parts of bodies, and bytes that are
not parsed yet since the request before them is being served. What is made of a request while it is
worked on. Responses that the client has not read.

*What happens when the budget is used up.* Two things, in this order:

1. A connection whose request is not complete can lose it without harm: nothing was done. One whose
   client does not read its response is cut off. The connection that has held bytes longest gives
   way first. So bodies that come slowly, or never to their end, keep nobody out.
2. A whole request for which nothing can give way any more is refused with 429 before anything is
   done.

So the memory never grows beyond the budget by more than the system call in progress has read.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Protocol

FALL = 16 << 20
"""Bytes fewer than once were used that are worth giving back to the system."""
M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -3, -4, -8  # malloc.h
LARGE = 32 * 1024
"""Bytes of what lies outside of the heap."""
MAPPINGS = 16_384
"""Of those so many at most: Linux gives a process 65,530 mappings, and it needs others too."""


class Holder(Protocol):
    """A connection that holds bytes of which nobody is working on.

    Attributes:
        held: how many of the budget; only `Memory` sets it.
    """

    held: int

    def give_way(self) -> None:
        """Throws away what it holds."""
        ...


class Memory:
    """The budget.

    Args:
        size: in bytes.

    Attributes:
        used: bytes, by holders and by requests that are worked on.
        peak: the most that was used since it was last given back to the system.
        evictions: how often a holder had to give way.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = self.peak = 0
        self.evictions = 0
        self._held = 0  # by the holders
        self._holders: dict[Holder, None] = {}  # the one that has held longest comes first

    def hold(self, holder: Holder, size: int) -> None:
        """From now on the holder holds so many bytes; it may have to give way at once."""
        self.used += size - holder.held
        self._held += size - holder.held
        holder.held = size
        self.peak = max(self.peak, self.used)
        if size:
            self._holders.setdefault(holder)
            self._make_room(0)
        else:
            self._holders.pop(holder, None)

    def take(self, size: int) -> bool:
        """Takes bytes for a whole request, until they are given back; False: there are none."""
        if self.used + size > self.size and not self._make_room(size):
            return False
        self.used += size
        if self.used > self.peak:  # noqa: PLR1730 - a call of max() takes as long as all the rest
            self.peak = self.used
        return True

    def give(self, size: int) -> None:
        """Gives back what was taken."""
        self.used -= size

    def has_fallen(self) -> bool:
        """Whether much less is used than once was; said once of each time."""
        if self.peak - self.used <= FALL:
            return False
        self.peak = self.used
        return True

    def _make_room(self, size: int) -> bool:
        """Lets holders give way until so much is free; False: all of them would not be enough."""
        if self.used - self._held + size > self.size:
            return False
        while self.used + size > self.size:
            holder = next(iter(self._holders))
            del self._holders[holder]
            self.used -= holder.held
            self._held -= holder.held
            holder.held = 0
            self.evictions += 1
            holder.give_way()
        return True


def keep_in_one_piece() -> None:
    """Tells the C library to reuse what is freed, whichever thread freed it, and to return it.

    By itself it has a heap for each thread, none of which reuses what another has freed: bodies
    arrive in one thread, and what is made of them in others. And what is freed between what is
    still used stays where it is. So there is one heap, and what is large lies outside of it, in
    mappings of its own (but for more of them than a process may well have).
    """
    for option, value in ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, LARGE), (M_MMAP_MAX, MAPPINGS)):
        _c_library("mallopt", option, value)


def give_back() -> None:
    """Gives freed memory back to the system, which the C library keeps between what is not freed.

    It may take some milliseconds, in which other threads go on.
    """
    _c_library("malloc_trim", 0)


def _c_library(name: str, *arguments: int) -> None:
    """Calls a function that only glibc has."""
    if sys.platform == "linux":  # pragma: no branch - the tests run there
        function = getattr(ctypes.CDLL(None), name, None)
        if function is not None:  # pragma: no branch - the tests run with glibc
            function(*arguments)
