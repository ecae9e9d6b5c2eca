"""How a request is framed: what its head may say about where its content ends. Pure.

The parser refuses what is no HTTP. What is left are heads that two parsers can read in two ways: a
proxy in front may take another byte for the end of the request, and what one takes for content
the other takes for the next request (request smuggling, RFC 9112 §11.2). Those are refused, and
their connection closes, since nobody can say where the next request begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def content_length(headers: Iterable[tuple[bytes, bytes]], version: Callable[[], str]) -> int:
    """Bytes of the content that follows a head; 0: there is none, or it comes in chunks.

    Args:
        headers: the fields of the head; names in lower case. The parser has accepted them.
        version: returns the version of HTTP, as in `1.1`; most heads are right in any.

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
