"""The client for programs on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import httpx2

from guidkeep.client import transport
from guidkeep.client.arguments import ANY, KEEP, Expire, IfMatch, Metadata, Ttl
from guidkeep.client.batches import Batches
from guidkeep.client.operations import Operations
from guidkeep.client.per_process import PerProcess
from guidkeep.client.retry import Patience
from guidkeep.client.sansio import Give, Lost, More, Pause
from guidkeep.record import DEFAULT_LIMIT, MAX_LIMIT
from guidkeep.urls import redacted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from types import TracebackType

    from guidkeep.client.batches import Sent
    from guidkeep.client.models import Line, Page, Record, Stats, Written
    from guidkeep.client.sansio import Request, Response, Steps, Stream

Result = TypeVar("Result")


class AsyncClient:
    """`Client` for asyncio: the same operations with the same arguments, to be awaited.

    `pages`, `records`, `export` and `bulk` are asynchronous iterators; `bulk` takes asynchronous
    iterables too. Use it in an `async with` statement, or await `close`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout: float | None = 30.0,
        attempts: int = 5,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        address = transport.address_of(url)
        self.url = redacted(address)
        self._operations = Operations(Patience(timeout, attempts))
        self._http = PerProcess(
            lambda: httpx2.AsyncClient(
                base_url=address,
                headers=transport.headers_of(headers),
                trust_env=not transport.is_here(address),
                verify=transport.certificates_of(address),
            )
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """As `Client.close`."""
        await self._http.own().aclose()

    async def create(
        self,
        metadata: Metadata,
        *,
        guid: str | None = None,
        expire: Expire = KEEP,
        ttl: Ttl = None,
    ) -> Record:
        """As `Client.create`."""
        return await self._run(self._operations.create(metadata, guid, expire, ttl))

    async def create_or_update(
        self,
        metadata: Metadata,
        *,
        guid: str | None = None,
        expire: Expire = KEEP,
        ttl: Ttl = None,
        if_match: IfMatch = ANY,
    ) -> Written:
        """As `Client.create_or_update`."""
        return await self._run(
            self._operations.create_or_update(metadata, guid, expire, if_match, ttl)
        )

    async def replace(
        self,
        guid: str,
        metadata: Metadata,
        *,
        expire: Expire = KEEP,
        ttl: Ttl = None,
        if_match: IfMatch = ANY,
    ) -> Written:
        """As `Client.replace`."""
        return await self._run(self._operations.replace(guid, metadata, expire, if_match, ttl))

    async def update(
        self,
        guid: str,
        metadata: Metadata,
        *,
        expire: Expire = KEEP,
        ttl: Ttl = None,
        if_match: IfMatch = ANY,
    ) -> Record:
        """As `Client.update`."""
        return await self._run(self._operations.update(guid, metadata, expire, if_match, ttl))

    async def read(self, guid: str) -> Record:
        """As `Client.read`."""
        return await self._run(self._operations.read(guid))

    async def get(self, guid: str) -> Record | None:
        """As `Client.get`."""
        return await self._run(self._operations.get(guid))

    async def read_if_changed(self, guid: str, etag: str) -> Record | None:
        """As `Client.read_if_changed`."""
        return await self._run(self._operations.read_if_changed(guid, etag))

    async def delete(self, guid: str, *, if_match: IfMatch = ANY) -> None:
        """As `Client.delete`."""
        await self._run(self._operations.delete(guid, if_match))

    async def list(
        self,
        *,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
        user: str | None = None,
        expires_before: int | None = None,
    ) -> Page:
        """As `Client.list`."""
        return await self._run(self._operations.list(limit, after, user, expires_before))

    async def pages(
        self,
        *,
        limit: int = MAX_LIMIT,
        after: str | None = None,
        user: str | None = None,
        expires_before: int | None = None,
    ) -> AsyncIterator[Page]:
        """As `Client.pages`."""
        more = True
        while more:
            page = await self.list(
                limit=limit, after=after, user=user, expires_before=expires_before
            )
            yield page
            more, after = page.more, page.after

    async def records(
        self,
        *,
        after: str | None = None,
        user: str | None = None,
        expires_before: int | None = None,
    ) -> AsyncIterator[Record]:
        """As `Client.records`."""
        async for page in self.pages(after=after, user=user, expires_before=expires_before):
            for record in page.records:
                yield record

    def export(self, *, user: str | None = None, after: str | None = None) -> AsyncIterator[Record]:
        """As `Client.export`."""
        return self._stream(self._operations.export(user, after))

    async def bulk(
        self,
        lines: Iterable[Metadata | Record] | AsyncIterable[Metadata | Record],
        *,
        create_only: bool = False,
    ) -> AsyncIterator[Line]:
        """As `Client.bulk`."""
        batches = Batches()
        async for line in _each(lines):
            if batch := batches.add(line):
                for result in await self.write(batch, create_only=create_only):
                    yield result
        if batch := batches.rest():
            for result in await self.write(batch, create_only=create_only):
                yield result

    async def write(self, batch: Sequence[Sent], *, create_only: bool = False) -> Sequence[Line]:
        """Writes one batch of a bulk write; batches at the same time must not share a GUID."""
        return await self._run(self._operations.bulk(batch, create_only=create_only))

    async def check(self) -> Literal["ok", "degraded"]:
        """As `Client.check`."""
        return await self._run(self._operations.check())

    async def stats(self) -> Stats:
        """As `Client.stats`."""
        return await self._run(self._operations.stats())

    async def metadata_schema(self) -> Any:
        """As `Client.metadata_schema`."""
        return await self._run(self._operations.metadata_schema())

    async def max_body(self) -> int:
        """As `Client.max_body`."""
        return await self._run(self._operations.max_body())

    # The actions of operations, done by the transport.

    async def _run(self, steps: Steps[Result]) -> Result:
        came: Response | Lost | None = None
        try:
            while True:
                wanted = steps.send(came)
                came = await self._do(wanted)
        except StopIteration as done:
            result: Result = done.value
            return result

    async def _stream(self, steps: Stream) -> AsyncIterator[Record]:
        came: Response | Lost | bytes | None = None
        pieces: AsyncIterator[bytes] = _each(())
        async with AsyncExitStack() as opened:
            while True:
                try:
                    wanted = steps.send(came)
                except StopIteration:
                    return
                came = None
                if isinstance(wanted, Give):
                    for record in wanted.records:
                        yield record
                elif isinstance(wanted, More):
                    came = await self._piece(pieces)
                elif isinstance(wanted, Pause):
                    await asyncio.sleep(wanted.seconds)
                else:
                    await opened.aclose()
                    came, pieces = await self._open(wanted, opened)

    async def _do(self, wanted: Request | Pause) -> Response | Lost | None:
        if isinstance(wanted, Pause):
            await asyncio.sleep(wanted.seconds)
            return None
        return await self._send(wanted)

    async def _send(self, request: Request) -> Response | Lost:
        try:
            async with asyncio.timeout(request.timeout):
                received = await self._begin(request)
                async with aclosing(received):
                    return transport.response_of(received, await received.aread())
        except TimeoutError as error:
            return transport.late(self.url, error)
        except httpx2.RequestError as error:
            return transport.lost(error, self.url)

    async def _open(
        self, request: Request, opened: AsyncExitStack
    ) -> tuple[Response | Lost, AsyncIterator[bytes]]:
        """Sends the request; returns the response, and the content if it is read in pieces."""
        try:
            received = await opened.enter_async_context(aclosing(await self._begin(request)))
            if received.is_success:
                return transport.response_of(received, b""), received.aiter_bytes()
            return transport.response_of(received, await received.aread()), _each(())
        except httpx2.RequestError as error:
            return transport.lost(error, self.url), _each(())

    async def _begin(self, request: Request) -> httpx2.Response:
        """Sends the request; returns when the response's headers have arrived."""
        http = self._http.own()
        return await http.send(transport.build(http, request), stream=True)

    async def _piece(self, pieces: AsyncIterator[bytes]) -> bytes | Lost:
        try:
            return await anext(pieces, b"")
        except httpx2.RequestError as error:
            return transport.lost(error, self.url)


async def _each(lines: Iterable[Result] | AsyncIterable[Result]) -> AsyncIterator[Result]:
    if isinstance(lines, AsyncIterable):
        async for line in lines:
            yield line
    else:
        for line in lines:
            yield line
