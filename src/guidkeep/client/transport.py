"""The common parts of the two transports: the address, httpx's settings, its exceptions."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from typing import TYPE_CHECKING

import httpx2

from guidkeep.client.sansio import Lost, Response
from guidkeep.errors import HeadersTooLarge, StartupError
from guidkeep.system.version import VERSION
from guidkeep.urls import redacted, split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guidkeep.client.sansio import Request

DEFAULT_URL = "http://127.0.0.1:8080"
URL_VARIABLE = "GUIDKEEP_URL"
_RIGHT = f"write {DEFAULT_URL}"
CONNECT_TIMEOUT = 5.0
"""The most seconds that an attempt waits for a connection."""

_NOTHING_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.LocalProtocolError,
)

_is_no_tls = re.compile(r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|HTTP_REQUEST").search
"""OpenSSL's names of the errors that mean that the other side does not speak TLS."""


def address_of(url: str | None) -> str:
    """Returns the service's address, without a slash at its end.

    Raises:
        ValueError: it is not an HTTP URL.
    """
    url = url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
    if "://" not in url:
        raise ValueError(f"{redacted(url)!r} is not the address of a service; {_RIGHT}.")
    try:
        parts = split(url)
    except StartupError as error:
        raise ValueError(str(error)) from None
    try:
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
        httpx2.URL(url).raw_host.decode().encode("idna")  # as the socket will
    except (ValueError, httpx2.InvalidURL):
        is_one = False
    if not is_one or "?" in url:
        why = ": it ends before a query (?)" if is_one else ""
        raise ValueError(f"{redacted(url)!r} is not the address of a service; {_RIGHT}{why}.")
    return url.rstrip("/")


def is_here(url: str) -> bool:
    """Returns whether the host is this machine, to which no proxy leads."""
    host = split(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def certificates_of(url: str) -> ssl.SSLContext | bool:
    """Returns httpx's argument `verify`.

    The system's certificates are read only for an https URL, as that takes longer than a request.
    """
    return split(url).scheme == "https" or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def headers_of(given: Mapping[str, str] | None) -> dict[str, str]:
    """Returns the headers of every request."""
    return {"user-agent": f"guidkeep/{VERSION}", "accept": "*/*", **(given or {})}


def build(http: httpx2.Client | httpx2.AsyncClient, request: Request) -> httpx2.Request:
    """Returns the request for httpx, with the timeout of each step.

    Raises:
        HeadersTooLarge: the path is too long for httpx, for example with a long user in a list;
            the service would refuse it.
    """
    connect = CONNECT_TIMEOUT if request.timeout is None else min(CONNECT_TIMEOUT, request.timeout)
    try:
        return http.build_request(
            request.method,
            request.path,
            content=request.body,
            headers=dict(request.headers),
            timeout=httpx2.Timeout(request.timeout, connect=connect),
        )
    except httpx2.InvalidURL as error:
        raise HeadersTooLarge(f"The address of the request can't be sent: {error}.") from error


def response_of(received: httpx2.Response, body: bytes) -> Response:
    """Returns a response in the form for operations."""
    return Response(received.status_code, received.headers, body)


def lost(error: httpx2.RequestError, url: str) -> Lost:
    """Returns the meaning of a transport's exception."""
    if isinstance(error, _NOTHING_SENT):
        why = str(error) or "it accepts no connection"
        if _is_no_tls(why):
            why = "the server there does not use TLS: perhaps the URL begins with http://"
        return Lost(f"There is no connection to {url}: {why}.", was_sent=False, cause=error)
    if isinstance(error, httpx2.TimeoutException):
        return late(url, error)
    why = str(error) or type(error).__name__
    return Lost(f"The connection to {url} was lost: {why}.", was_sent=True, cause=error)


def late(url: str, error: BaseException | None = None) -> Lost:
    """Returns the failure after a timeout."""
    return Lost(f"{url} did not respond in time.", was_sent=True, cause=error)


def forked() -> Lost:
    """Returns the failure for a response that is read in another process than its request's."""
    return Lost("The process forked; the response is its parent's.", was_sent=True)
