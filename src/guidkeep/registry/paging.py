"""Lists: a page of live records, in the order of their GUIDs, at a bounded cost.

A filter may match few of many records, and records may be large. So beside its `limit` a page has
three bounds: its bytes, the records that the store examines for it, and the bytes that are read at
a time. A page that reaches a bound is short, or empty; `after` is where the next page begins.

*Two ways to find the records.* If few records expire before `expires_before`, they are found by
their `expire` and sorted. Otherwise the store walks in the order of the GUIDs, through all records
or through those of the user, one *window* at a time. `Store.skip` returns the end of the window,
and `Store.page` reads the records in it that match. A window is twice as long as the one before
suggests, at most `WINDOW`. The windows of a page together are bounded too.

*Slices.* A page is read in slices of about `SLICE` bytes. Each slice is an operation of its own in
the store and on the event loop, so no other request waits for a whole page.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from guidkeep.record import Query, Record
    from guidkeep.stores import Store

MAX_PAGE = 1 << 20
"""Maximum bytes of metadata in a page. A single record that is larger makes a page by itself."""
PAGE_MEMORY = 5 * MAX_PAGE
"""Maximum bytes of memory that a page takes while it is made. Python stores a text that has one
character beyond U+FFFF with four bytes per character; the slice read last comes on top."""
SLICE = 1 << 17
"""Approximate bytes of metadata in a slice, estimated from the records before it."""
FIRST = 8
MOST = 250
"""Records in the first slice of a page, and the maximum in any slice."""
WINDOW = 10_000
WINDOW_OF_A_USER = 2_000
"""Maximum records in a window. The records of a user are scattered, so each costs several times as
much to read."""
WINDOWS = 2
"""The windows of the largest size that are examined for a page; it may be one window more."""
FEW = 10_000
FEW_OF_A_USER = 1_000
"""Up to this number of records the way by `expire` is faster than windows. The number is smaller
with a user, because the user is in the record and not in the index by `expire`."""


class Page(NamedTuple):
    """A page of a list.

    Attributes:
        records: the records, in the order of their GUIDs.
        after: the GUID after which the next page begins; None: this is the last page.
    """

    records: list[Record]
    after: str | None

    @property
    def more(self) -> bool:
        """Whether there may be another page."""
        return self.after is not None


async def read_page(store: Store, query: Query, now: int) -> Page:
    """Returns the page that `query` asks for, of the records live at `now` (Unix time, seconds).

    Raises:
        StoreUnavailable: the store can't be read.
    """
    by_expire = await _few_expire(store, query, now)
    longest = WINDOW if query.user is None else WINDOW_OF_A_USER
    found: list[Record] = []
    size, examined, wanted = 0, 0, FIRST
    after, entries = query.after, 1.0  # entries of the index per record that matches
    while True:
        wanted = min(wanted, query.limit + 1 - len(found))  # one more shows whether a page follows
        window = max(1, min(longest, int(2 * wanted * entries)))
        part = replace(query, after=after, limit=wanted, by_expire=by_expire)
        until = None if by_expire else await store.skip(part, window)
        records = await store.page(replace(part, until=until), now)
        for record in records:
            size += record.size
            if found and (len(found) == query.limit or size > MAX_PAGE):
                return Page(found, found[-1].guid)
            found.append(record)
        examined += window
        if len(records) == wanted:
            after = records[-1].guid
            wanted = max(1, min(MOST, SLICE * len(found) // max(size, 1)))
        elif until is None:
            return Page(found, None)
        else:
            after, entries = until, window / len(records) if records else longest
        if examined >= WINDOWS * longest:
            return Page(found, after)


async def _few_expire(store: Store, query: Query, now: int) -> bool:
    """Whether to find the records by `expire`."""
    before = query.expires_before
    if before is None:
        return False
    few = FEW if query.user is None else FEW_OF_A_USER
    counted = await store.count(now + 1, before, few)
    if counted.until < before or counted.records > few:
        return False
    return query.user is None or await store.skip(query, counted.records + 1) is not None
