"""Lists: a page of live records, in the order of their GUIDs, at a bounded price.

A filter may match few of many records, and records may be large, so a page is bounded in three
ways beside its `limit`: in bytes, in the records that the store examines for it, and in what is
read at a time. A page that meets a bound is short, or empty; `after` says where the next begins.

*Two ways to the records.* If few of all records expire before `expires_before`, they are found by
their `expire` and sorted. Otherwise the store walks in the order of the GUIDs, through all records
or those of the user, a *window* at a time: `Store.skip` says where the window ends, `Store.page`
reads what matches in it. A window is twice as long as it seems to need, by the one before, and no
longer than `WINDOW`; those of a page are bounded together.

*Slices.* A page is read in slices of about `SLICE` bytes. Each is a turn of its own in the store
and on the event loop, so no other request waits for a whole page.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from guidkeep.record import Query, Record
    from guidkeep.stores import Store

MAX_PAGE = 1 << 20
"""Bytes of metadata in a page at most, unless one record has more; the next page has the rest."""
PAGE_MEMORY = 5 * MAX_PAGE
"""Bytes of memory that a page takes at most while it is made: Python has four for each character of
a text in which one is beyond U+FFFF, and beside it there is what was read last."""
SLICE = 1 << 17
"""Bytes of metadata that are read at a time, or so: what that will be is known by the records
before them."""
FIRST = 8
MOST = 250
"""Records in the first slice of a page, and in any."""
WINDOW = 10_000
WINDOW_OF_A_USER = 2_000
"""Records in a window at most. Those of a user lie anywhere, so each costs some times as much."""
WINDOWS = 2
"""So many of the largest windows are examined for a page, or one window more."""
FEW = 10_000
FEW_OF_A_USER = 1_000
"""Records that are found by `expire` sooner than by windows. Those of a user are fewer, because
who the user is stands in the record, not in the index."""


class Page(NamedTuple):
    """A part of a list.

    Attributes:
        records: in the order of their GUIDs.
        after: the GUID after which the next page begins; None: there are no more.
    """

    records: list[Record]
    after: str | None

    @property
    def more(self) -> bool:
        """Whether there may be more."""
        return self.after is not None


async def read_page(store: Store, query: Query, now: int) -> Page:
    """The page that `query` asks for, of what is live at `now`, Unix time in seconds.

    Raises:
        StoreUnavailable: the store can't be read.
    """
    by_expire = await _few_expire(store, query, now)
    longest = WINDOW if query.user is None else WINDOW_OF_A_USER
    found: list[Record] = []
    size, examined, wanted = 0, 0, FIRST
    after, entries = query.after, 1.0  # entries of the index for each record that matches
    while True:
        wanted = min(wanted, query.limit + 1 - len(found))  # one more, to know whether there is
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
    """Whether the records are to be found by `expire`."""
    before = query.expires_before
    if before is None:
        return False
    few = FEW if query.user is None else FEW_OF_A_USER
    counted = await store.count(now + 1, before, few)
    if counted.until < before or counted.records > few:
        return False
    return query.user is None or await store.skip(query, counted.records + 1) is not None
