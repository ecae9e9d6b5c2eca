"""The handlers for single records and for the list."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from guidkeep.http.conditions import Preconditions, preconditions_of, stated
from guidkeep.http.representation import validators
from guidkeep.http.requests import RECORD_PREFIX, parse_query
from guidkeep.http.responses import JSON, REVALIDATED, Response
from guidkeep.record import parse_change
from guidkeep.registry.paging import PAGE_MEMORY

if TYPE_CHECKING:
    from guidkeep.http.handlers import Parts
    from guidkeep.http.requests import Request
    from guidkeep.record import Change, Query, Record
    from guidkeep.registry.paging import Page

LISTS = 16
"""The most pages of lists made at once; others wait. Fewer, if they would take half the memory."""


class Records:
    """The handlers for records."""

    def __init__(self, parts: Parts) -> None:
        self._registry = parts.registry
        self._limits = parts.limits
        fitting = parts.limits.memory.size // 2 // PAGE_MEMORY
        self._lists = asyncio.Semaphore(max(1, min(LISTS, fitting)))

    async def create(self, request: Request) -> Response:
        """`POST /guid`: create, the GUID generated, unless the body names one."""
        return await self._create_or_update(request, None)

    async def create_or_update(self, request: Request) -> Response:
        """`POST /guid/{guid}`: create when no live record is there, else update."""
        return await self._create_or_update(request, request.guid)

    async def _create_or_update(self, request: Request, guid: str | None) -> Response:
        change, condition, now = await self._wanted(request, guid)
        written = await self._registry.create_or_update(change, condition, now)
        return _record_response(written.record, created=written.created)

    async def replace(self, request: Request) -> Response:
        """`PUT /guid/{guid}`: create or replace whole."""
        change, condition, now = await self._wanted(request, request.guid)
        written = await self._registry.replace(change, condition, now)
        return _record_response(written.record, created=written.created)

    async def update(self, request: Request) -> Response:
        """`PATCH /guid/{guid}`: update only."""
        change, condition, now = await self._wanted(request, request.guid)
        return _record_response(await self._registry.update(request.guid, change, condition, now))

    async def delete(self, request: Request) -> Response:
        """`DELETE /guid/{guid}`."""
        await self._registry.delete(request.guid, preconditions_of(request))
        return Response(204, [])

    async def read(self, request: Request) -> Response:
        """`GET /guid/{guid}` and `HEAD`."""
        condition = preconditions_of(request)
        record = await self._registry.read(request.guid)
        condition.require_match(record)
        if not condition.none_match_holds(record):
            # RFC 9110 §15.4.5: a 304 has the headers of the 200, but nothing of its content
            return Response(304, validators(record), shared=REVALIDATED)
        return _record_response(record)

    async def list(self, request: Request) -> Response:
        """`GET /guid`: live records in GUID order."""
        query = parse_query(request.query)
        async with self._lists:
            with self._limits.taken(PAGE_MEMORY):
                return _page_response(await self._registry.list(query), query)

    async def _wanted(
        self, request: Request, guid: str | None
    ) -> tuple[Change, Preconditions, float]:
        """Returns a write's change, its preconditions, and the time for all decisions."""
        condition, faults = stated(request)
        now = self._registry.clock()
        content, request.content = (
            request.content,
            b"",
        )  # else it is held until the response is sent
        parse = partial(parse_change, content, now=int(now), guid=guid, faults=faults)
        return await self._registry.aside.do(len(content), parse), condition, now


def _record_response(record: Record, *, created: bool = False) -> Response:
    headers = [*JSON, *validators(record)]
    if created:
        headers.append((b"location", f"{RECORD_PREFIX}{record.guid}".encode()))
    return Response(201 if created else 200, headers, record.json.encode(), REVALIDATED)


def _page_response(page: Page, query: Query) -> Response:
    headers, next_url = list(JSON), None
    if page.after is not None:
        fields = {
            "limit": query.limit,
            "after": page.after,
            "user": query.user,
            "expires_before": query.expires_before,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        next_url = f"/guid?{urlencode(given)}"
        headers.append((b"link", f'<{next_url}>; rel="next"'.encode()))
    records = []
    page.records.reverse()
    while page.records:  # each is freed once encoded, so that nothing is held twice
        records.append(page.records.pop().json.encode())
    body = b'{"guids":[%b],"next":%b}' % (b",".join(records), json.dumps(next_url).encode())
    return Response(200, headers, body)
