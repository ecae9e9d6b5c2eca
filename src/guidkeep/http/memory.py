"""One budget of bytes for everything that requests in progress hold in memory.

*What counts.* Received bytes that are not yet a complete request: parts of bodies, and bytes that
are not parsed because the request before them is being served. The memory for processing a request.
Responses that the client has not read.

*What happens when the budget is used up.* Two things, in this order:

1. A connection gives way: if its request is incomplete, the request is dropped without harm, as
   nothing was done; if its client does not read the response, it is disconnected. The connection
   that has held bytes longest gives way first. So slow or endless bodies block no other request.
2. If no connection can give way any more, a complete request is refused with 429 before anything is
   done.

So the memory exceeds the budget at most by the bytes that the present system call has read.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Protocol

FALL = 16 << 20
"""Freed memory is given back to the system when the use has fallen by this many bytes."""
M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -3, -4, -8  # malloc.h
LARGE = 32 * 1024
"""Pieces of at least this many bytes are allocated outside of the heap."""
MAPPINGS = 16_384
"""The most of these: Linux gives a process 65,530 mappings, and it needs others too."""


class Holder(Protocol):
    """A connection that holds bytes of a request that is not in progress.

    Attributes:
        held: its bytes of the budget; only `Memory` sets it.
    """

    held: int

    def give_way(self) -> None:
        """Discards the bytes that it holds."""
        ...


class Memory:
    """The budget.

    Args:
        size: the budget in bytes.

    Attributes:
        used: bytes used by holders and by requests in progress.
        peak: the maximum of `used` since memory was last given back to the system.
        evictions: the number of holders that had to give way.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = self.peak = 0
        self.evictions = 0
        self._held = 0  # bytes of the holders
        self._holders: dict[Holder, None] = {}  # the longest holder comes first

    def hold(self, holder: Holder, size: int) -> None:
        """Notes that the holder now holds `size` bytes; it may have to give way at once."""
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
        """Takes bytes for a complete request. Returns False if there are not enough."""
        if self.used + size > self.size and not self._make_room(size):
            return False
        self.used += size
        if self.used > self.peak:  # noqa: PLR1730 - a call of max() would double the time of this method
            self.peak = self.used
        return True

    def give(self, size: int) -> None:
        """Gives back bytes of `take`."""
        self.used -= size

    def has_fallen(self) -> bool:
        """Returns, once for each fall, whether the use has fallen by more than `FALL`."""
        if self.peak - self.used <= FALL:
            return False
        self.peak = self.used
        return True

    def _make_room(self, size: int) -> bool:
        """Lets holders give way until `size` bytes are free. Returns False if there can't be."""
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
    """Makes the C library reuse memory that any thread freed, and return it to the system.

    By default it has a heap for each thread, which does not reuse memory freed in another: bodies
    arrive in one thread and are processed in others. And freed memory between used pieces stays
    with the process. So there is one heap, and large pieces are allocated outside of it, in their
    own mappings (up to a safe number of mappings).
    """
    for option, value in ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, LARGE), (M_MMAP_MAX, MAPPINGS)):
        _c_library("mallopt", option, value)


def give_back() -> None:
    """Gives freed memory back to the system that the C library keeps between used pieces.

    It may take some milliseconds, in which other threads continue.
    """
    _c_library("malloc_trim", 0)


def _c_library(name: str, *arguments: int) -> None:
    """Calls a function that exists only in glibc."""
    if sys.platform == "linux":  # pragma: no branch - the tests run there
        function = getattr(ctypes.CDLL(None), name, None)
        if function is not None:  # pragma: no branch - the tests run with glibc
            function(*arguments)
