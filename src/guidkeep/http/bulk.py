"""`POST /bulk`: many records in one request, a line in and a line out.

*Each line is a request.* It goes the way of `POST /guid`: the same parsing, the same operation of
the registry, the same errors. So nothing here knows of expiry, versions or leases.

*Many at once.* Up to `WINDOW` lines are worked on at a time, and the store makes batches of what
arrives together, so they share commits. A line waits for an earlier line of the same GUID: two
lines of one GUID take effect in their order. The result lines come in the order of the lines.

*Bounded both ways.* A line is taken when there is a place in the window, and among all requests
that the server works on at once (`--max-pending`); else nothing is read. Results that the client
has not read are spooled, up to a limit (`guidkeep.http.spool`); beyond it no further line is taken.

*When the response begins.* At once, if the request comes in chunks. If its head gives its length,
the response begins when all of it is there, or when the spool has reached its limit: such a client
waits for no result before it sends the next line. And a proxy that has passed on the head of a
response may not pass on the rest of the request: nginx does not, once a buffer was full.

*Fairness.* However many bulk requests there are, one event-loop iteration begins lines of one of
them, and few. All else that the server does has the rest of its time.

*Time.* A request may last as long as it will, if a whole line comes every `--request-timeout`. Time
in which nothing is read does not count. When the server stops it takes no more lines.
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

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from guidkeep.http.limits import Limits
    from guidkeep.http.requests import Request
    from guidkeep.jsontext.lines import Line
    from guidkeep.record import Change
    from guidkeep.registry.registry import Registry, Written

log = structlog.get_logger("guidkeep.http")

WINDOW = 512
"""Lines that are worked on at once, of one request."""
WINDOW_BYTES = 1 << 20
"""Bytes that they have at most, unless one alone has more."""
LINES_AT_ONCE = 32
"""Lines that are cut and begun in one event-loop iteration, of all requests together."""
LONG = 1024
"""Bytes of a line that count as a line more: what is long may take long to read."""
TICK = 1.0
"""Seconds after which a request that waits for a line looks whether the server stops."""
STOPPING = "This server is stopping; this line and what follows was not done. Send it to another."
WHY = 65_536
"""Bytes of results for the refused lines of a request, and `WHY_FACTOR` more for each byte of a
line. After those a result gives no reason: else each line of one byte would cost hundreds."""
WHY_FACTOR = 10
HELD = 256 << 20
"""Bytes of responses on the disk, of all requests together."""


class Bulk:
    """Answers such requests.

    Args:
        registry: does what the lines ask for.
        limits: counts what is worked on.
        max_body: bytes of a record's metadata at most; a line may have `ENVELOPE` more.
        patience: seconds in which a whole line has to come.
        is_draining: whether the server is about to stop.
    """

    def __init__(
        self,
        registry: Registry,
        limits: Limits,
        *,
        max_body: int,
        patience: float,
        is_draining: Callable[[], bool],
    ) -> None:
        self.registry = registry
        self.limits = limits
        self.max_line = max_body + ENVELOPE
        self.patience = patience
        self.is_draining = is_draining
        self.space = SpoolSpace(HELD)
        self.beginning = asyncio.Lock()

    async def post(self, request: Request) -> StreamedResponse:
        """`POST /bulk`. The pieces of the response are made while the request is read."""
        running = _BulkRequest(self, request, preconditions_of(request))
        return StreamedResponse(200, NDJSON_LINES, running.pieces())


@dataclass(slots=True)
class _Work:
    """A line that is worked on: its size, the task that does it, and then its result."""

    size: int
    task: asyncio.Task[None] | None = None
    result: str | None = None


class _BulkRequest:
    """One such request while it lasts."""

    def __init__(self, bulk: Bulk, request: Request, condition: Preconditions) -> None:
        self._bulk = bulk
        self._request = request
        self._condition = condition
        self._lines = Lines(bulk.max_line)
        self._waited = 0.0  # for a whole line, in seconds
        self._working: deque[_Work] = deque()
        self._size = 0
        self._last: dict[str, asyncio.Task[None]] = {}  # by GUID, what works on it, or will last
        self._news = asyncio.Event()  # a result is there, or there will be no more
        self._room = asyncio.Event()  # there may be room for a line
        self._may_begin = asyncio.Event()  # the response
        self._has_failed = False
        self._why = WHY  # bytes that are left for saying why lines were refused

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The content of the response."""
        self._request.stream.read_on()
        spool = Spool(self._bulk.space, self._tell)
        taking = asyncio.create_task(self._take_lines())
        taking.add_done_callback(self._took_all)
        putting = asyncio.create_task(self._put_results(taking, spool))
        try:
            if b"content-length" in self._request.headers:
                await self._may_begin.wait()
            async with aclosing(spool.take()) as pieces:
                async for piece in pieces:
                    yield piece
            await putting
        finally:
            taking.cancel()
            putting.cancel()
            doing = [work.task for work in self._working if work.task is not None]
            # A write can't be cancelled. What they ended with was raised above, or nobody asks.
            await asyncio.gather(taking, putting, *doing, return_exceptions=True)

    def _tell(self, has_room: bool) -> None:
        """The spool has room again, or none until the client reads."""
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
        """What came, and whether there is more to come; raises why no more is taken."""
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
            f"No whole line arrived within {patience:g} s; this one and what follows was not done."
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
            and limits.pending < limits.max_pending
        )

    async def _begin(self, line: Line) -> None:
        self._why += WHY_FACTOR * (self._bulk.max_line if line.text is None else len(line.text))
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
                now = None  # some time has passed
            written = await self._bulk.registry.create_or_update(change, self._condition, now)
        except Exception as error:  # noqa: BLE001 - whatever it is becomes a result
            work.result = self._failed(number, change.guid, error)
        else:
            work.result = self._done(number, written)
        finally:
            self._bulk.limits.pending -= 1
            if change.guid and self._last[change.guid] is work.task:
                del self._last[change.guid]
            self._news.set()

    # Putting results.

    async def _put_results(self, taking: asyncio.Task[None], spool: Spool) -> None:
        """Puts them in order, all that are there at once; ends as `taking` ended."""
        try:
            while self._working or not taking.done():
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
            await taking
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
        """Answers a line that is not worked on."""
        self._working.append(_Work(0, result=self._failed(number, guid, error)))
        self._news.set()

    def _failed(self, number: int, guid: str | None, error: Exception) -> str:
        shown = problems.shown(error)
        status, request_id = problems.problem_of(shown).status, None
        if problems.problem_of(shown).is_logged:
            request_id = self._request.id
            if not self._has_failed:  # the first, for a million may follow
                self._has_failed = True
                told = {"request_id": request_id, "line": number}
                if isinstance(error, StoreUnavailable):
                    log.warning("store unavailable", detail=error.detail, **told)
                else:
                    log.error("request failed", route="/bulk", exc_info=error, **told)
        self._bulk.limits.metrics.count("guidkeep_bulk_lines", status)
        is_refused = isinstance(shown, InvalidRequest | BodyTooLarge)
        if is_refused and self._why <= 0 and guid is None:
            text = f'{{"line":{number},"status":{status},"problem":{{}}}}\n'
        else:
            document = problems.document(shown, request_id)
            result = {"line": number, "status": status, "guid": guid, "problem": document}
            text = f"{json.dumps(result)}\n"
        if is_refused:
            self._why -= len(text)
        return text
