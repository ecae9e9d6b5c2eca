"""`GET /export`: all live records, one on each line, as fast as the client reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from guidkeep.http.requests import parse_query
from guidkeep.http.responses import NDJSON_LINES
from guidkeep.http.streams import StreamedResponse
from guidkeep.jsontext import on_one_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from guidkeep.http.handlers import Parts
    from guidkeep.http.requests import Request
    from guidkeep.record import Query, Record

FIRST_PAGE = 64
PAGE = 1000
"""Records in the first page read from the store, and in the largest. The pages grow while the
client reads: a client that reads nothing costs only a small page."""
PAGE_BYTES = 512 * 1024
"""The intended size of a page in bytes, estimated from the previous page."""
PIECE = 100
PIECE_BYTES = 64 * 1024
"""The most records, and bytes before the last record, that are sent at once. Just before, each
record is checked again for expiry."""


class Export:
    """The handler of `GET /export`.

    An export is not a snapshot. The store is read a page at a time, in GUID order, and nothing is
    held there in between. A record that is written or deleted meanwhile appears in its former or
    its new state, or not at all. Every other record appears exactly once.
    """

    def __init__(self, parts: Parts) -> None:
        self._registry = parts.registry

    async def get(self, request: Request) -> StreamedResponse:
        """`GET /export`. The pieces are made while they are sent."""
        query = parse_query(request.query, names=("after", "user"))
        first = replace(query, limit=min(FIRST_PAGE, PAGE))
        return StreamedResponse(200, NDJSON_LINES, self._pieces(first))

    async def _pieces(self, query: Query) -> AsyncGenerator[bytes, None]:
        reads_on = True
        while reads_on:
            records, after = await self._registry.list(query)
            total = sum(len(record.json) for record in records)
            records.reverse()
            while records:
                yield self._piece(records)
            fitting = PAGE_BYTES * query.limit // max(total, 1)
            limit = max(1, min(PAGE, 4 * query.limit, fitting))
            query, reads_on = replace(query, after=after, limit=limit), after is not None

    def _piece(self, records: list[Record]) -> bytes:
        """Returns the next piece; removes its records from the list, so that none is held twice."""
        now = self._registry.clock()
        lines: list[str] = []
        size = 0
        while records and len(lines) < PIECE and size < PIECE_BYTES:
            record = records.pop()
            if record.is_live(now):
                lines.append(f"{on_one_line(record.json)}\n")
                size += len(record.json)
        return "".join(lines).encode()
