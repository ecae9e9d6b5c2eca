"""The client for programs that wait for each response."""

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
from guidkeep.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from guidkeep.client.models import Line, Page, Record, Stats, Written
    from guidkeep.client.sansio import Request, Response, Steps, Stream

Result = TypeVar("Result")


class Client:
    """A connection to a running Guidkeep: the registry's operations, over HTTP.

    It keeps its connections open and may be used by several threads, and after a fork by parent and
    child, each on connections of its own. Use it in a `with` statement, or call `close`.

    What goes wrong is raised as the exceptions of `guidkeep.errors` that the service itself uses:
    `InvalidRequest` with all its `faults`, each with its pointer, `NotFound`, `PreconditionFailed`
    and the others. `Unreachable` is raised when the service can't be reached and nothing was
    written, `OutcomeUnknown` when a write may have happened though its response was lost, and
    `UnknownAnswer` when something that is no Guidkeep answers. `GuidkeepError` is all of them.

    What did not happen is tried again, and so are reads, and writes on no condition, when their
    response was lost; never a write with `if_match`, nor one that creates or updates a record of a
    GUID given to it and has a null, which a repeat would remove. Pauses grow from a tenth of a
    second to five, with chance in them; a `Retry-After` is honoured.

    Attributes:
        url: where the service is, as it may be shown: without a password.

    Args:
        url: where the service is; None: `GUIDKEEP_URL`, or `http://127.0.0.1:8080`. It may have
            a user and a password (`https://user:password@host`), and a path.
        timeout: seconds for a whole call, all its attempts and pauses; None: any time. For
            `export` it holds for each piece that is waited for, for `bulk` for each batch.
        attempts: how often a request is sent at most; 1: never again.
        headers: more headers for every request, as for a proxy that checks identities.

    Raises:
        ValueError: `url` is no address of a service.
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
        """Creates a record where there is none.

        Args:
            metadata: the record's members: a mapping, or the text of a JSON object, whose numbers
                keep their digits.
            guid: 32 upper-case hexadecimal digits; None: a random one.
            expire: Unix time in whole seconds, a `datetime` with a zone, or a `timedelta` from
                now. Left out, or None: the service's default lifetime, 30 days.
            ttl: instead of `expire`: seconds from now, or a `timedelta`, by the service's clock.

        Raises:
            InvalidRequest: with all that is wrong in `faults`.
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
            if_match: the version that the record must have, as in `Record.etag`; a ValueError if
                that is None, as in lists.

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
        """Creates the record, or replaces it as a whole: what is left out is gone.

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
        """The live record.

        Raises:
            InvalidRequest: `guid` is none.
            NotFound: there is no live record of it.
        """
        return self._run(self._operations.read(guid))

    def get(self, guid: str) -> Record | None:
        """The live record, or None if there is none.

        Raises:
            InvalidRequest: `guid` is none.
        """
        return self._run(self._operations.get(guid))

    def read_if_changed(self, guid: str, etag: str) -> Record | None:
        """The live record, or None while it still has the version `etag`.

        Raises:
            InvalidRequest, NotFound.
        """
        return self._run(self._operations.read_if_changed(guid, etag))

    def delete(self, guid: str, *, if_match: IfMatch = ANY) -> None:
        """Deletes the live record.

        If the response of an attempt was lost and the next finds no record, it counts as deleted:
        either that attempt did it, or there was none.

        Raises:
            InvalidRequest, NotFound, PreconditionFailed.
        """
        self._run(self._operations.delete(guid, if_match))

    def list(
        self,
        *,
        limit: int = 100,
        after: str | None = None,
        user: str | None = None,
        expires_before: int | None = None,
    ) -> Page:
        """A page of live records, in the order of their GUIDs.

        Args:
            limit: at most so many, 1 to 1000.
            after: only GUIDs greater than this one.
            user: only records of this user.
            expires_before: only those that expire before this Unix time.

        Raises:
            InvalidRequest.
        """
        return self._run(self._operations.list(limit, after, user, expires_before))

    def pages(
        self,
        *,
        limit: int = 1000,
        after: str | None = None,
        user: str | None = None,
        expires_before: int | None = None,
    ) -> Iterator[Page]:
        """The list page by page, from `after` to its end; each is asked for when it is wanted."""
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
        """The list record by record. For all there are, `export` is quicker."""
        for page in self.pages(after=after, user=user, expires_before=expires_before):
            yield from page.records

    def export(self, *, user: str | None = None, after: str | None = None) -> Iterator[Record]:
        """All live records in the order of their GUIDs, streamed: few are held at a time.

        When the connection is lost on the way it is made again, and the export goes on after the
        last record. A record that is written meanwhile may or may not be seen.

        Args:
            user: only records of this user.
            after: only GUIDs greater than this one.
        """
        return self._stream(self._operations.export(user, after))

    def bulk(
        self, lines: Iterable[Metadata | Record], *, create_only: bool = False
    ) -> Iterator[Line]:
        """Creates or updates a record for each line, many in one commit; yields what became of it.

        Each line is what `create_or_update` would be given, its `guid` and `expire` or `ttl` among
        the members. Lines are taken as they are needed and sent in batches, so it may be endless;
        the results come in order, after each batch. One that is refused does not hold up the
        others. Blank lines count, and have no result. What is wrong with a batch as a whole is
        raised, unless some of its lines have a response; then it is the error of the others.

        Args:
            lines: mappings, texts of JSON objects, or records, as those of an `export`.
            create_only: refuse, with PreconditionFailed, lines whose record is there already. Of
                a batch whose response was lost, only lines without a GUID are then sent again.
        """
        batches = Batches()
        for line in lines:
            if batch := batches.add(line):
                yield from self._run(self._operations.bulk(batch, create_only=create_only))
        if batch := batches.rest():
            yield from self._run(self._operations.bulk(batch, create_only=create_only))

    def check(self) -> Literal["ok", "degraded"]:
        """Whether the service can do its work; "degraded" is without its cache.

        Raises:
            StoreUnavailable, Stopping, Unreachable.
        """
        return self._run(self._operations.check())

    def stats(self) -> Stats:
        """The service's figures: live records, when they expire, the cache."""
        return self._run(self._operations.stats())

    def metadata_schema(self) -> Any:
        """The JSON Schema (2020-12) that the service checks metadata against."""
        return self._run(self._operations.metadata_schema())

    def max_body(self) -> int:
        """Bytes that a body and the metadata of a record may have at most."""
        return self._run(self._operations.max_body())

    # From what an operation wants to what the transport does.

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
        """Sends it; returns the response, and its content if that is to be taken in pieces."""
        try:
            received = opened.enter_context(closing(self._begin(request)))
            if received.is_success:
                return transport.response_of(received, b""), received.iter_bytes()
            return self._whole(received, math.inf), iter(())
        except httpx2.RequestError as error:
            return transport.lost(error, self.url), iter(())

    def _begin(self, request: Request) -> httpx2.Response:
        """Sends it; returns when the response's headers are there."""
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
