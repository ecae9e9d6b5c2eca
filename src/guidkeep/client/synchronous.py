"""The client for synchronous programs."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack, closing
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
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from guidkeep.client.models import Line, Page, Record, Stats, Written
    from guidkeep.client.sansio import Request, Response, Steps, Stream

Result = TypeVar("Result")


class Client:
    """A client of a running Guidkeep: the registry's operations, over HTTP.

    It keeps its connections open. Several threads may use it, and after a fork both parent and
    child, each with its own connections. Use it in a `with` statement, or call `close`.

    Errors are the exceptions of `guidkeep.errors` that the service itself uses: `InvalidRequest`
    with all its `faults`, each with its pointer, `NotFound`, `PreconditionFailed` and others.
    `Unreachable` means that the service can't be reached and nothing was written, `OutcomeUnknown`
    that a write may have happened but its response was lost, and `UnknownAnswer` that the response
    is not Guidkeep's. All of them are a `GuidkeepError`.

    A request that was not done is repeated. If a response was lost, reads are repeated, and so are
    unconditional writes, except one that creates or updates a record of a given GUID and has a
    null, which a repeat would remove. A write with `if_match` is never repeated then. Pauses grow
    from a tenth of a second to five, with random variation; a `Retry-After` is honoured.

    Attributes:
        url: the service's address for display, without a password.

    Args:
        url: the service's address; None: `GUIDKEEP_URL`, or `http://127.0.0.1:8080`. It may have
            a user and a password (`https://user:password@host`), and a path.
        timeout: seconds for a whole call with all its attempts and pauses; None: no limit. For
            `export` it applies to each piece, for `bulk` to each batch.
        attempts: the largest number of attempts for a request; 1: no repeats.
        headers: additional headers for every request, for example for a proxy that authenticates.

    Raises:
        ValueError: `url` is not the address of a service.
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
            lambda: httpx2.Client(
                base_url=address,
                headers=transport.headers_of(headers),
                trust_env=not transport.is_here(address),
                verify=transport.certificates_of(address),
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.own().close()

    def create(
        self,
        metadata: Metadata,
        *,
        guid: str | None = None,
        expire: Expire = KEEP,
        ttl: Ttl = None,
    ) -> Record:
        """Creates a record if the GUID has no live one.

        Args:
            metadata: the record's members: a mapping, or the text of a JSON object, whose numbers
                keep their digits.
            guid: 32 upper-case hexadecimal digits; None: a random one.
            expire: Unix time in whole seconds, a `datetime` with a time zone, or a `timedelta`
                from now. Left out, or None: the service's default lifetime, 30 days.
            ttl: instead of `expire`: seconds from now, or a `timedelta`, by the service's clock.

        Raises:
            InvalidRequest: `faults` has all errors.
            PreconditionFailed: there is a live record of that GUID.
        """
        return self._run(self._operations.create(metadata, guid, expire, ttl))

    def create_or_update(
        self,
        metadata: Metadata,
        *,
        guid: str | None = None,
        expire: Expire = KEEP,
        ttl: Ttl = None,
        if_match: IfMatch = ANY,
    ) -> Written:
        """Creates the record if there is none, else merges the members into it (RFC 7396).

        Args:
            metadata: members; in an update, those left out stay and None removes.
            guid: None: a random one, unless `metadata` names one.
            expire: as for `create`; left out of an update, it stays.
            ttl: as for `create`.
            if_match: the version that the record must have, from `Record.etag`; ValueError if
                it is None, as in lists.

        Raises:
            InvalidRequest, PreconditionFailed.
        """
        return self._run(self._operations.create_or_update(metadata, guid, expire, if_match, ttl))

    def replace(
        self,
        guid: str,
        metadata: Metadata,
        *,
        expire: Expire = KEEP,
        ttl: Ttl = None,
        if_match: IfMatch = ANY,
    ) -> Written:
        """Creates the record, or replaces it as a whole: members left out are gone.

        Raises:
            InvalidRequest, PreconditionFailed.
        """
        return self._run(self._operations.replace(guid, metadata, expire, if_match, ttl))

    def update(
        self,
        guid: str,
        metadata: Metadata,
        *,
        expire: Expire = KEEP,
        ttl: Ttl = None,
        if_match: IfMatch = ANY,
    ) -> Record:
        """Merges the members into the live record (RFC 7396): None removes one.

        Raises:
            InvalidRequest, NotFound, PreconditionFailed.
        """
        return self._run(self._operations.update(guid, metadata, expire, if_match, ttl))

    def read(self, guid: str) -> Record:
        """Returns the live record.

        Raises:
            InvalidRequest: `guid` is not valid.
            NotFound: there is no live record of it.
        """
        return self._run(self._operations.read(guid))

    def get(self, guid: str) -> Record | None:
        """Returns the live record, or None if there is none.

        Raises:
            InvalidRequest: `guid` is not valid.
        """
        return self._run(self._operations.get(guid))

    def read_if_changed(self, guid: str, etag: str) -> Record | None:
        """Returns the live record, or None while it still has the version `etag`.

        Raises:
            InvalidRequest, NotFound.
        """
        return self._run(self._operations.read_if_changed(guid, etag))

    def delete(self, guid: str, *, if_match: IfMatch = ANY) -> None:
        """Deletes the live record.

        If the response to an attempt was lost and the next attempt finds no record, it counts as
        deleted: either the first attempt deleted it, or there was none.

        Raises:
            InvalidRequest, NotFound, PreconditionFailed.
        """
        self._run(self._operations.delete(guid, if_match))

    def list(
        self,
        *,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
        user: str | None = None,
        expires_before: int | None = None,
    ) -> Page:
        """Returns a page of live records, in the order of their GUIDs.

        Args:
            limit: the largest number of records, 1 to 1000.
            after: only GUIDs greater than this one.
            user: only records of this user.
            expires_before: only records that expire before this Unix time.

        Raises:
            InvalidRequest.
        """
        return self._run(self._operations.list(limit, after, user, expires_before))

    def pages(
        self,
        *,
        limit: int = MAX_LIMIT,
        after: str | None = None,
        user: str | None = None,
        expires_before: int | None = None,
    ) -> Iterator[Page]:
        """Iterates over the pages of a list from `after` on; requests each page when needed."""
        more = True
        while more:
            page = self.list(limit=limit, after=after, user=user, expires_before=expires_before)
            yield page
            more, after = page.more, page.after

    def records(
        self,
        *,
        after: str | None = None,
        user: str | None = None,
        expires_before: int | None = None,
    ) -> Iterator[Record]:
        """Iterates over the records of a list. For all records, `export` is faster."""
        for page in self.pages(after=after, user=user, expires_before=expires_before):
            yield from page.records

    def export(self, *, user: str | None = None, after: str | None = None) -> Iterator[Record]:
        """Iterates over all live records in the order of their GUIDs, holding few at a time.

        If the connection is lost, the export reconnects and continues after the last record. A
        record that is written meanwhile may or may not be returned.

        Args:
            user: only records of this user.
            after: only GUIDs greater than this one.
        """
        return self._stream(self._operations.export(user, after))

    def bulk(
        self, lines: Iterable[Metadata | Record], *, create_only: bool = False
    ) -> Iterator[Line]:
        """Creates or updates a record for each line, many in one commit; yields the results.

        A line is the argument of `create_or_update`, with its `guid` and `expire` or `ttl` among
        the members. Lines are read when needed and sent in batches, so their number may be
        unlimited. Results come in order, after each batch. A refused line does not affect the
        others. Blank lines count, and have no result. An error of a whole batch is raised, unless
        some of its lines have a result; then it is the error of the other lines.

        Args:
            lines: mappings, texts of JSON objects, or records, such as those of an `export`.
            create_only: refuse lines whose record exists already, with PreconditionFailed. If the
                response to a batch was lost, only lines without a GUID are then sent again.
        """
        batches = Batches()
        for line in lines:
            if batch := batches.add(line):
                yield from self._run(self._operations.bulk(batch, create_only=create_only))
        if batch := batches.rest():
            yield from self._run(self._operations.bulk(batch, create_only=create_only))

    def check(self) -> Literal["ok", "degraded"]:
        """Returns whether the service can serve requests; "degraded" means without its cache.

        Raises:
            StoreUnavailable, Stopping, Unreachable.
        """
        return self._run(self._operations.check())

    def stats(self) -> Stats:
        """Returns the service's statistics: live records, when they expire, the cache."""
        return self._run(self._operations.stats())

    def metadata_schema(self) -> Any:
        """Returns the JSON Schema (2020-12) that the service requires metadata to match."""
        return self._run(self._operations.metadata_schema())

    def max_body(self) -> int:
        """Returns the largest number of bytes of a body, and of the metadata of a record."""
        return self._run(self._operations.max_body())

    # The actions of operations, done by the transport.

    def _run(self, steps: Steps[Result]) -> Result:
        came: Response | Lost | None = None
        try:
            while True:
                wanted = steps.send(came)
                came = self._do(wanted)
        except StopIteration as done:
            result: Result = done.value
            return result

    def _stream(self, steps: Stream) -> Iterator[Record]:
        came: Response | Lost | bytes | None = None
        pieces: Iterator[bytes] = iter(())
        asked = None
        with ExitStack() as opened:
            while True:
                try:
                    wanted = steps.send(came)
                except StopIteration:
                    return
                came = None
                if isinstance(wanted, Give):
                    yield from wanted.records
                elif isinstance(wanted, More):
                    is_ours = asked is self._http.own()
                    came = self._piece(pieces) if is_ours else transport.forked()
                elif isinstance(wanted, Pause):
                    time.sleep(wanted.seconds)
                else:
                    opened.close()
                    asked = self._http.own()
                    came, pieces = self._open(wanted, opened)

    def _do(self, wanted: Request | Pause) -> Response | Lost | None:
        if isinstance(wanted, Pause):
            time.sleep(wanted.seconds)
            return None
        return self._send(wanted)

    def _send(self, request: Request) -> Response | Lost:
        deadline = math.inf if request.timeout is None else time.monotonic() + request.timeout
        try:
            with closing(self._begin(request)) as received:
                return self._whole(received, deadline)
        except httpx2.RequestError as error:
            return transport.lost(error, self.url)

    def _open(self, request: Request, opened: ExitStack) -> tuple[Response | Lost, Iterator[bytes]]:
        """Sends the request; returns the response, and the content if it is read in pieces."""
        try:
            received = opened.enter_context(closing(self._begin(request)))
            if received.is_success:
                return transport.response_of(received, b""), received.iter_bytes()
            return self._whole(received, math.inf), iter(())
        except httpx2.RequestError as error:
            return transport.lost(error, self.url), iter(())

    def _begin(self, request: Request) -> httpx2.Response:
        """Sends the request; returns when the response's headers have arrived."""
        http = self._http.own()
        return http.send(transport.build(http, request), stream=True)

    def _whole(self, received: httpx2.Response, deadline: float) -> Response | Lost:
        body = b""
        for piece in received.iter_bytes():
            body += piece
            if time.monotonic() > deadline:
                return transport.late(self.url)
        return transport.response_of(received, body)

    def _piece(self, pieces: Iterator[bytes]) -> bytes | Lost:
        try:
            return next(pieces, b"")
        except httpx2.RequestError as error:
            return transport.lost(error, self.url)
