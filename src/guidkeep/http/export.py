"""`GET /export`: all live records, a line each, as fast as the client reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from guidkeep.http.lines import NDJSON
from guidkeep.http.requests import parse_query
from guidkeep.http.streams import Streamed
from guidkeep.jsontext import on_one_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from guidkeep.http.requests import Request
    from guidkeep.record import Query
    from guidkeep.registry import Registry

LINES = [(b"content-type", NDJSON.encode())]
PAGE = 1000
"""Records that are read from the store at once, at most."""
PIECE = 100
"""Records that are sent at once: each is looked at once more before, whether it is still live."""


class Export:
    """See the module's text.

    It is no snapshot. The store is read a page at a time, in GUID order, and nothing is held there
    in between: a record that is written or deleted meanwhile may be in it as it was, as it is, or
    not at all. Every other one is in it exactly once.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def answer(self, request: Request) -> Streamed:
        """The answer; its pieces are made as they are sent."""
        query = parse_query(request.query, names=("after", "user"))
        return Streamed(200, LINES, self._pieces(replace(query, limit=PAGE)))

    async def _pieces(self, query: Query) -> AsyncGenerator[bytes, None]:
        reads_on = True
        while reads_on:
            records, after = await self._registry.list(query)
            for at in range(0, len(records), PIECE):
                now = self._registry.clock()
                live = [record for record in records[at : at + PIECE] if record.is_live(now)]
                yield "".join([f"{on_one_line(record.body)}\n" for record in live]).encode()
            query, reads_on = replace(query, after=after), after is not None
