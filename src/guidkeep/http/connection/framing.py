"""The framing of a request: the end of its content, from its head. Pure functions.

The parser refuses bytes that are not HTTP. It accepts heads that two parsers can read in two ways:
a proxy may then see the end of the request elsewhere, and treat as content what this server treats
as the next request (request smuggling, RFC 9112 §11.2). Such heads are refused, and the connection
closes, since the beginning of the next request is uncertain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def content_length(headers: Iterable[tuple[bytes, bytes]], version: Callable[[], str]) -> int:
    """Returns the bytes of content after a head; 0 if there is none, or it comes in chunks.

    Args:
        headers: the fields of the head; names in lower case. The parser has accepted them.
        version: returns the version of HTTP, as in `1.1`; called only if it matters.

    Raises:
        InvalidRequest: two parsers could find two ends of the request.
    """
    hosts, length = 0, 0
    codings = []
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            codings.append(value.strip(b" \t").lower())
    if hosts > 1 or (hosts == 0 and version() != "1.0"):
        raise InvalidRequest("A request names its Host exactly once (RFC 9112 §3.2).")
    if codings and version() == "1.0":
        raise InvalidRequest(
            "HTTP/1.0 has no Transfer-Encoding; send Content-Length (RFC 9112 §6.1)."
        )
    if codings and codings != [b"chunked"]:
        raise InvalidRequest(
            "Transfer-Encoding must be chunked, once, and nothing else (RFC 9112 §6.1)."
        )
    return length
