"""`POST /bulk`: many records in one request, a line in and a line out.

*Each line is a request.* It is processed like `POST /guid`: the same parsing, the same operation of
the registry, the same errors. So this module knows nothing of expiry, versions or leases.

*Many at once.* Up to `WINDOW` lines are processed at a time, and the store batches operations that
arrive together, so they share commits. A line waits for an earlier line of the same GUID: two
lines of one GUID take effect in their order. The result lines come in the order of the lines.

*Bounded both ways.* A line is read only if there is room in the window, and among the requests
that the server processes at once (`--max-pending`). Results that the client
has not read are spooled, up to a limit (`guidkeep.http.spool`); beyond it no further line is read.

*When the response begins.* At once, if the request comes in chunks. If its head gives its length,
the response begins when the request is complete, or when the spool has reached its limit: such a
client waits for no result before it sends the next line. And once a proxy has passed on the head of
a response, it may not pass on the rest of the request: nginx stops when a buffer is full.

*Fairness.* In one event-loop iteration only one bulk request begins lines, and only a few. The rest
of the iteration is for other work.

*Time.* A request may last for any time, if a whole line arrives every `--request-timeout`. Time in
which the server does not read is not counted. A stopping server reads no more lines.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import structlog

from guidkeep.errors import (
    BodyTooLarge,
    GuidkeepError,
    InvalidRequest,
    RequestTimeout,
    Stopping,
    StoreUnavailable,
)
from guidkeep.http import problems
from guidkeep.http.conditions import Preconditions, preconditions_of
from guidkeep.http.responses import NDJSON_LINES
from guidkeep.http.spool import Spool, SpoolSpace
from guidkeep.http.streams import StreamedResponse
from guidkeep.jsontext.lines import Lines
from guidkeep.record import ENVELOPE, parse_change
from guidkeep.wire.problems import problem_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from guidkeep.http.handlers import Parts
    from guidkeep.http.requests import Request
    from guidkeep.jsontext.lines import Line
    from guidkeep.record import Change
    from guidkeep.registry.access import Written

log = structlog.get_logger(__name__)

WINDOW = 512
"""Lines of one request that are processed at once."""
WINDOW_BYTES = 1 << 20
"""The most bytes of these lines, unless a single line has more."""
LINES_AT_ONCE = 32
"""Lines of all requests together that are begun in one event-loop iteration."""
LONG = 1024
"""For every so many bytes a line counts as one more: a long line takes longer to parse."""
TICK = 1.0
"""Seconds between two checks whether the server stops, while a request waits for a line."""
STOPPING = "This server is stopping; this line and the rest were not done. Send them to another."
REASONS = 65_536
"""Bytes that the results of refused lines may have in one request; each byte of its lines adds
`REASONS_FACTOR`. After that, refused lines get no reason: otherwise a line of one byte would get a
result of hundreds of bytes."""
REASONS_FACTOR = 10
HELD = 256 << 20
"""The most bytes of results on the disk, for all requests together."""


class Bulk:
    """The handler of `POST /bulk`."""

    def __init__(self, parts: Parts) -> None:
        self.registry = parts.registry
        self.limits = parts.limits
        self.max_line = parts.settings.max_body + ENVELOPE
        self.patience = parts.settings.request_timeout  # seconds in which a line must arrive
        self.is_draining = parts.is_draining
        self.space = SpoolSpace(HELD)
        self.beginning = asyncio.Lock()

    async def post(self, request: Request) -> StreamedResponse:
        """`POST /bulk`. The pieces of the response are made while the request is read."""
        running = _BulkRequest(self, request, preconditions_of(request))
        return StreamedResponse(200, NDJSON_LINES, running.pieces())


@dataclass(slots=True)
class _Work:
    """A line in progress: its size, its task, and then its result."""

    size: int
    task: asyncio.Task[None] | None = None
    result: str | None = None


class _BulkRequest:
    """One bulk request in progress."""

    def __init__(self, bulk: Bulk, request: Request, condition: Preconditions) -> None:
        self._bulk = bulk
        self._request = request
        self._condition = condition
        self._lines = Lines(bulk.max_line)
        self._waited = 0.0  # seconds of waiting for a whole line
        self._working: deque[_Work] = deque()
        self._size = 0
        self._last: dict[str, asyncio.Task[None]] = {}  # by GUID, its last task
        self._news = asyncio.Event()  # there is a result, or there will be no more
        self._room = asyncio.Event()  # there may be room for a line
        self._may_begin = asyncio.Event()  # the response may begin
        self._has_failed = False
        self._reasons = REASONS  # bytes left for the reasons of refusals

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yields the content of the response."""
        self._request.stream.read_on()
        spool = Spool(self._bulk.space, self._tell)
        reading = asyncio.create_task(self._take_lines())
        reading.add_done_callback(self._took_all)
        writing = asyncio.create_task(self._put_results(reading, spool))
        try:
            if b"content-length" in self._request.headers:
                await self._may_begin.wait()
            async with aclosing(spool.take()) as pieces:
                async for piece in pieces:
                    yield piece
            await writing
        finally:
            reading.cancel()
            writing.cancel()
            doing = [work.task for work in self._working if work.task is not None]
            # A write can't be cancelled. Errors were raised above, or are not needed any more.
            await asyncio.gather(reading, writing, *doing, return_exceptions=True)

    def _tell(self, has_room: bool) -> None:
        """Called with False when the spool is full, and with True when it takes results again.

        A full spool takes results again when the client has read some.
        """
        self._request.stream.takes = has_room
        if not has_room:
            self._may_begin.set()

    def _took_all(self, _: asyncio.Task[None]) -> None:
        self._news.set()
        self._may_begin.set()

    # Taking lines.

    async def _take_lines(self) -> None:
        more = True
        while more:
            try:
                piece, more = await self._piece()
            except (RequestTimeout, Stopping) as error:
                self._refuse(self._lines.number + 1, None, error)
                return
            await self._wait_for_iteration()
            lines = self._lines.feed(piece)
            left = LINES_AT_ONCE
            for line in lines if more else chain(lines, self._lines.end()):
                self._waited = 0.0
                size = len(line.text or b"") if line else 0
                while left <= 0 or not self._has_room(size):
                    await self._wait_for_room(size)
                    await self._wait_for_iteration()
                    left = LINES_AT_ONCE
                left -= 1 + size // LONG
                if line is None:
                    continue
                if self._bulk.is_draining():
                    self._refuse(line.number, None, Stopping(STOPPING))
                    return
                await self._begin(line)

    async def _piece(self) -> tuple[bytes, bool]:
        """Returns the next bytes, and whether more will come; raises the reason to stop reading."""
        patience, now = self._bulk.patience, asyncio.get_running_loop().time
        while self._waited < patience:
            began = now()
            try:
                async with asyncio.timeout(min(TICK, patience)):
                    return await self._request.piece()
            except TimeoutError:
                if self._bulk.is_draining():
                    raise Stopping(STOPPING) from None
            finally:
                self._waited += now() - began
        raise RequestTimeout(
            f"No whole line arrived within {patience:g} s; this line and the rest were not done."
        )

    async def _wait_for_iteration(self) -> None:
        """Returns in an event-loop iteration in which no other request begins lines."""
        async with self._bulk.beginning:
            await asyncio.sleep(0)

    async def _wait_for_room(self, size: int) -> None:
        while not self._has_room(size):
            self._room.clear()
            await self._room.wait()

    def _has_room(self, size: int) -> bool:
        limits = self._bulk.limits
        return not self._working or (
            len(self._working) < WINDOW
            and self._size + size <= WINDOW_BYTES
            and limits.pending < limits.settings.max_pending
        )

    async def _begin(self, line: Line) -> None:
        self._reasons += REASONS_FACTOR * (
            self._bulk.max_line if line.text is None else len(line.text)
        )
        if line.text is None:
            detail = f"The line must not have more than {self._bulk.max_line} bytes."
            self._refuse(line.number, None, BodyTooLarge(detail))
            return
        now = self._bulk.registry.clock()
        try:
            parse = partial(parse_change, line.text, now=int(now))
            change = await self._bulk.registry.aside.do(len(line.text), parse)
        except InvalidRequest as error:
            self._refuse(line.number, None, error)
            return
        work = _Work(len(line.text))
        before = self._last.get(change.guid) if change.guid else None
        work.task = asyncio.create_task(self._do(work, line.number, change, now, before))
        if change.guid:
            self._last[change.guid] = work.task
        self._working.append(work)
        self._size += work.size
        self._bulk.limits.pending += 1

    async def _do(
        self,
        work: _Work,
        number: int,
        change: Change,
        now: float | None,
        before: asyncio.Task[None] | None,
    ) -> None:
        try:
            if before is not None:
                await asyncio.wait([before])
                now = None  # time has passed since
            written = await self._bulk.registry.create_or_update(change, self._condition, now)
        except Exception as error:  # noqa: BLE001 - every error becomes a result
            work.result = self._failed(number, change.guid, error)
        else:
            work.result = self._done(number, written)
        finally:
            self._bulk.limits.pending -= 1
            if change.guid and self._last[change.guid] is work.task:
                del self._last[change.guid]
            self._news.set()

    # Results.

    async def _put_results(self, reading: asyncio.Task[None], spool: Spool) -> None:
        """Puts results into the spool, in the order of the lines; ends as `reading` ended."""
        try:
            while self._working or not reading.done():
                ready = []
                while self._working and (result := self._working[0].result) is not None:
                    self._size -= self._working.popleft().size
                    ready.append(result)
                if ready:
                    await spool.put("".join(ready).encode())
                    self._room.set()
                else:
                    self._news.clear()
                    await self._news.wait()
            await reading
        finally:
            spool.end()

    def _done(self, number: int, written: Written) -> str:
        status, record = 201 if written.created else 200, written.record
        self._bulk.limits.metrics.count("guidkeep_bulk_lines", status)
        return (
            f'{{"line": {number}, "status": {status}, "guid": "{record.guid}", '
            f'"etag": "\\"{record.version}\\""}}\n'
        )

    def _refuse(self, number: int, guid: str | None, error: GuidkeepError) -> None:
        """Adds the result of a line that is refused without an operation."""
        self._working.append(_Work(0, result=self._failed(number, guid, error)))
        self._news.set()

    def _failed(self, number: int, guid: str | None, error: Exception) -> str:
        shown = problems.shown(error)
        status, request_id = problem_of(shown).status, None
        if problem_of(shown).is_logged:
            request_id = self._request.id
            if not self._has_failed:  # only the first, because a million may follow
                self._has_failed = True
                context = {"request_id": request_id, "line": number}
                if isinstance(error, StoreUnavailable):
                    log.warning("store unavailable", detail=error.detail, **context)
                else:
                    log.error("request failed", route="/bulk", exc_info=error, **context)
        self._bulk.limits.metrics.count("guidkeep_bulk_lines", status)
        is_refused = isinstance(shown, InvalidRequest | BodyTooLarge)
        if is_refused and self._reasons <= 0 and guid is None:
            text = f'{{"line":{number},"status":{status},"problem":{{}}}}\n'
        else:
            document = problems.document(shown, request_id)
            result = {"line": number, "status": status, "guid": guid, "problem": document}
            text = f"{json.dumps(result)}\n"
        if is_refused:
            self._reasons -= len(text)
        return text
