"""Helpers for tests of the HTTP contract: a client that checks every response."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import pytest

from guidkeep.http import openapi
from guidkeep.record import new_guid
from guidkeep.schema import MetadataSchema
from guidkeep.settings import Settings
from guidkeep.wire.problems import PROBLEMS, TYPE_PREFIX
from tests.engines import CACHES, EACH_STORE, LOCAL, local_url
from tests.support import MARCH_2015, NO_TLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guidkeep.http.requests import Application

DOCUMENT = openapi.document(MetadataSchema(), Settings())
SOON = MARCH_2015 + 3600
"""An `expire` an hour after the time at which the tests begin."""
PAIRS = [
    f"{EACH_STORE[number % len(EACH_STORE)]} {CACHES[number % len(CACHES)]}"
    for number in range(max(len(EACH_STORE), len(CACHES)))
]
"""Each store and each cache once: they know nothing of each other, as the import contracts say, so
what holds over one pair holds over every other."""
PATIENCE = 30.0
"""Seconds: long, for busy machines and for FerretDB, which counts without an index."""
_LOCAL_CACHES = [local_url(name, Path()) for name in CACHES if name in LOCAL]
EACH_PAIR = pytest.mark.parametrize("api", [*_LOCAL_CACHES, *PAIRS], indirect=True)
"""Targets of the contract: the application, and live servers over each store and cache.
Other tests share the live server "sqlite memory"."""


class Api(httpx2.AsyncClient):
    """A client that checks each response for the promises of all responses."""

    def __init__(self, target: Application | str) -> None:
        """`target` is an application in this process, or a server's address."""
        hooks: Any = {"response": [_check]}
        if isinstance(target, str):
            super().__init__(base_url=target, event_hooks=hooks, timeout=PATIENCE, verify=NO_TLS)
        else:
            transport = httpx2.ASGITransport(app=target)
            super().__init__(base_url="http://localhost", transport=transport, event_hooks=hooks)

    async def made(self, guid: str | None = None, **members: Any) -> httpx2.Response:
        """Creates a record, by default with user Ann and a new GUID."""
        answer = await self.post(f"/guid/{guid or new_guid()}", json={"user": "Ann"} | members)
        assert answer.status_code == 201
        return answer

    async def all_guids(self, **query: Any) -> list[str]:
        """Returns the GUIDs of the whole list, page by page."""
        guids: list[str] = []
        url: str | None = str(httpx2.URL("/guid", params=query))
        while url:
            # Other tests' records have numbers of 5,000 digits, which int() refuses.
            page = (await self.get(url)).json(parse_int=str)
            guids += [record["guid"] for record in page["guids"]]
            url = page["next"]
        return guids


async def _check(response: httpx2.Response) -> None:
    """Checks the promises of every response."""
    await response.aread()
    check_headers(response.headers)
    assert "html" not in response.headers.get("content-type", "") or response.is_success
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert int(response.headers["content-length"]) > 0
    if response.status_code >= 400 and response.request.method != "HEAD":
        check_problem(response.status_code, response.json())
    documented = _documented(response.request)
    assert documented is None or str(response.status_code) in documented, (
        f"/openapi.json does not name {response.status_code} for {response.request.method} "
        f"{response.request.url.path}"
    )


def check_headers(headers: Mapping[str, str]) -> None:
    """Fails unless the response has the headers for browsers and caches."""
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    # A response with an ETag may be kept and revalidated; all others are right only now.
    assert headers["cache-control"] == ("no-cache" if "etag" in headers else "no-store")


def check_problem(status: int, problem: dict[str, Any]) -> None:
    """Fails unless it is a complete problem (RFC 9457) without internals."""
    assert problem["type"].startswith(TYPE_PREFIX)
    kind = PROBLEMS[problem["type"].removeprefix(TYPE_PREFIX)]
    assert problem["status"] == status == kind.status
    assert problem["title"] == kind.title
    assert problem["detail"][-1] in ".!" or status == 400
    assert "Traceback" not in problem["detail"]
    for fault in problem.get("errors", []):
        assert fault["detail"]
        assert fault.keys() - {"detail"} in ({"pointer"}, {"parameter"})
    assert problem.keys() <= {"type", "title", "status", "detail", "errors", "request_id"}


def faults(response: httpx2.Response) -> dict[str, str]:
    """Returns the faults of a 400, by JSON Pointer or, outside the body, by parameter."""
    assert response.status_code == 400
    found: dict[str, str] = {}
    for fault in response.json()["errors"]:
        place = fault.get("pointer", fault.get("parameter"))
        found[place] = f"{found.get(place, '')} {fault['detail']}"
    return found


def lines_of(response: httpx2.Response) -> list[dict[str, Any]]:
    """Returns the lines of a response with one JSON object on each."""
    return [json.loads(line) for line in response.text.splitlines()]


def detail(response: httpx2.Response) -> str:
    """Returns a problem's `detail`."""
    text: str = response.json()["detail"]
    return text


async def request_raw(address: str, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Sends bytes over a new connection; returns the first response on it."""
    place = urlsplit(address)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        writer.write(request)
        return await read_response(reader)
    finally:
        writer.close()


async def read_response(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Returns the next response on a connection: status, headers, content."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (li.partition(": ") for li in lines)}
    if not first.endswith("100 Continue"):
        check_headers(headers)
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(first.split()[1]), headers, content


def template(path: str) -> str | None:
    """Returns the path in `/openapi.json` that matches a real path."""
    path = "/guid" if path == "/guid/" else path
    for known in DOCUMENT["paths"]:
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(known)), path):
            return str(known)
    return None


def _documented(request: httpx2.Request) -> set[str] | None:
    """Returns the statuses in `/openapi.json` for the request; None if it has no such request."""
    known = template(request.url.path)
    method = "get" if request.method == "HEAD" else request.method.lower()
    operation = DOCUMENT["paths"].get(known, {}).get(method)
    return operation and set(operation["responses"])


def nested(depth: int) -> str:
    """Returns a body with that depth of arrays and objects, including its own object."""
    return (
        json.dumps({"user": "Ann"})[:-1]
        + ', "deep": '
        + "[" * (depth - 1)
        + "]" * (depth - 1)
        + "}"
    )
