"""Requests: their headers, their body within limits, their query."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from guidkeep.errors import BodyTooLarge, EncodedBody, Fault, InvalidRequest
from guidkeep.http.extensions import CONNECTION, NoStream
from guidkeep.record import (
    DEFAULT_LIMIT,
    LAST_EXPIRE,
    MAX_LIMIT,
    Query,
    guid_fault,
    parse_seconds,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence
    from typing import Any

    from guidkeep.http.extensions import Stream

    # ASGI's types (https://asgi.readthedocs.io).
    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST_ID = 128
RECORD_PREFIX = "/guid/"
RECORD_ROUTE = "/guid/{guid}"
NO_ROUTE = "(none)"
"""The metrics' label for paths without a route, and for bytes that became no request."""
LIST_PARAMETERS = ("limit", "after", "user", "expires_before")


class ClientLeft(Exception):
    """The client closed the connection before its request was complete."""


class Request:
    """A request, as handlers see it.

    Attributes:
        method: as received.
        path: decoded.
        headers: by lower-case names; of a repeated header, the last.
        query: the query string as received.
        client: the address of the client, if known.
        content: the whole body, unless the request is streamed.
    """

    __slots__ = (
        "_lines",
        "_receive",
        "_request_id",
        "_scope",
        "_stream",
        "client",
        "content",
        "headers",
        "method",
        "path",
        "query",
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self._lines: list[tuple[bytes, bytes]] = scope["headers"]
        self.headers: dict[bytes, bytes] = dict(self._lines)
        self.query: bytes = scope["query_string"]
        self.client: str | None = (scope.get("client") or [None])[0]
        self.content = b""
        self._receive = receive
        self._request_id = ""
        self._scope = scope
        self._stream: Stream | None = None

    @property
    def guid(self) -> str:
        """The segment of the path that should be a GUID."""
        return self.path[len(RECORD_PREFIX) :].partition("/")[0]

    def list_of(self, name: bytes) -> bytes | None:
        """Returns a list header, which may be spread over several lines (RFC 9110 §5.3)."""
        if name not in self.headers:
            return None
        return b", ".join(value for line, value in self._lines if line == name)

    @property
    def id(self) -> str:
        """The request's id: the client's or a proxy's, if short and printable, or a new one."""
        if not self._request_id:
            given = self.headers.get(b"x-request-id", b"").decode("latin-1")
            decent = given.isascii() and given.isprintable() and len(given) <= LONGEST_ID
            self._request_id = given if given and decent else secrets.token_hex(8)
        return self._request_id

    @property
    def stream(self) -> Stream:
        """The request as a stream. The first access has both bodies travel in pieces."""
        if self._stream is None:
            extension = self._scope.get("extensions", {}).get(CONNECTION)
            self._stream = extension["begin_stream"]() if extension else NoStream()
        return self._stream

    def require_plain_body(self) -> None:
        """Lets the request pass unless its body is encoded.

        Raises:
            EncodedBody: the body is encoded, for example compressed.
        """
        codings = self.list_of(b"content-encoding")
        if codings is not None and codings.strip().lower() not in (b"", b"identity"):
            given = shortened(codings.decode("latin-1"))
            raise EncodedBody(
                f"The body's Content-Encoding is {given!r}; send the body without encoding."
            )

    async def piece(self) -> tuple[bytes, bool]:
        """Returns the part of the body since the last call, and whether more will come.

        Raises:
            ClientLeft: it never came to its end.
        """
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        extension = self._scope.get("extensions", {}).get(CONNECTION)
        if extension:
            extension["body_taken"]()
        return message.get("body", b""), message.get("more_body", False)

    async def body(self, limit: int) -> bytes:
        """Returns the whole body.

        Raises:
            BodyTooLarge: it has more than `limit` bytes; more are never held.
            ClientLeft: it never came to its end.
        """
        extension = self._scope.get("extensions", {}).get(CONNECTION)
        body: bytes | None = extension["take_whole_body"]() if extension else None
        if body is None and int(self.headers.get(b"content-length", b"0")) <= limit:
            body, more = b"", True
            while more and len(body) <= limit:
                piece, more = await self.piece()
                body += piece
        if body is None or len(body) > limit:
            raise BodyTooLarge(f"The body must not have more than {limit} bytes.")
        return body


def parse_query(query_string: bytes, *, names: Sequence[str] = LIST_PARAMETERS) -> Query:
    """Returns the query of a list; a parameter without a value counts as not given.

    Args:
        query_string: as received.
        names: the names of all parameters.

    Raises:
        InvalidRequest: with all faults.
    """
    given, faults = _pairs(query_string, names)
    limit, expires_before = _number(given, "limit"), _number(given, "expires_before")
    if limit is None or not 1 <= limit <= MAX_LIMIT:
        detail = f"limit must be a whole number from 1 to {MAX_LIMIT}."
        faults.append(Fault(detail, parameter="limit"))
    if expires_before is None:
        detail = "expires_before must be Unix time in whole seconds."
        faults.append(Fault(detail, parameter="expires_before"))
    after = given.get("after")
    if after is not None and (wrong := guid_fault(after)):
        faults.append(Fault(wrong, parameter="after"))
    if faults:
        raise InvalidRequest(faults)
    return Query(
        limit=limit or 0,
        after=after,
        user=given.get("user"),
        expires_before=min(expires_before or 0, LAST_EXPIRE + 1)
        if "expires_before" in given
        else None,
    )


def _pairs(query_string: bytes, names: Sequence[str]) -> tuple[dict[str, str], list[Fault]]:
    try:
        text = query_string.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidRequest(
            "The query must be ASCII with few fields; percent-encode other characters as UTF-8."
        ) from error
    faults = []
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in names:
            detail = f"There is no parameter {name!r}; there are: {', '.join(names)}."
            faults.append(Fault(detail, parameter=name))
        elif value and name in given:
            faults.append(Fault(f"{name} is given twice; give it once.", parameter=name))
        if value:
            given[name] = value
    return given, faults


def _number(given: dict[str, str], name: str) -> int | None:
    default = {"limit": str(DEFAULT_LIMIT), "expires_before": "0"}[name]
    return parse_seconds(given.get(name, default))
