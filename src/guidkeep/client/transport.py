"""What the two transports share: the address, httpx's settings, and what its exceptions mean."""

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
"""Seconds that an attempt waits for a connection at most."""

_NOTHING_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.LocalProtocolError,
)

_is_no_tls = re.compile(r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|HTTP_REQUEST").search
"""How OpenSSL says, by its names of errors, that the other side does not speak TLS."""


def address_of(url: str | None) -> str:
    """The service's address, without a slash at its end.

    Raises:
        ValueError: it is no HTTP URL.
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
    """Whether that is this machine: no proxy leads there."""
    host = split(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def certificates_of(url: str) -> ssl.SSLContext | bool:
    """What httpx takes for `verify`: it reads all certificates only where TLS is spoken.

    That takes longer than a request does.
    """
    return split(url).scheme == "https" or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def headers_of(given: Mapping[str, str] | None) -> dict[str, str]:
    """The headers that every request has."""
    return {"user-agent": f"guidkeep/{VERSION}", "accept": "*/*", **(given or {})}


def build(http: httpx2.Client | httpx2.AsyncClient, request: Request) -> httpx2.Request:
    """The request as httpx sends it: the time-out is that of each step of it.

    Raises:
        HeadersTooLarge: the address is longer than httpx sends one, as of a user that is listed;
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
    """A received as the operations see it."""
    return Response(received.status_code, received.headers, body)


def lost(error: httpx2.RequestError, url: str) -> Lost:
    """What it means that the transport raised."""
    if isinstance(error, _NOTHING_SENT):
        why = str(error) or "it takes no connection"
        if _is_no_tls(why):
            why = "what listens there speaks no TLS; is it http://?"
        return Lost(f"There is no connection to {url}: {why}.", was_sent=False, cause=error)
    if isinstance(error, httpx2.TimeoutException):
        return late(url, error)
    why = str(error) or type(error).__name__
    return Lost(f"The connection to {url} was lost: {why}.", was_sent=True, cause=error)


def late(url: str, error: BaseException | None = None) -> Lost:
    """What it means that the time is over."""
    return Lost(f"{url} did not answer in time.", was_sent=True, cause=error)


def forked() -> Lost:
    """What it means that the process which reads a response is not the one that asked."""
    return Lost("The process forked; the response is its parent's.", was_sent=True)
