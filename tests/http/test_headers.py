"""Every response of every route has the headers for browsers and caches.

Each test checks these headers in each response: see `helpers.check_headers`. Here every route of
`/openapi.json` gets every method, so that a new one can't be left out.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from guidkeep import errors
from guidkeep.http.problems import last_bytes
from guidkeep.http.routes import routes
from guidkeep.wire.problems import problem_of
from tests.http.helpers import Api, check_headers, request_raw
from tests.support import app_of

if TYPE_CHECKING:
    from guidkeep.registry.registry import Registry

PATHS = [
    *(path for route in routes() if route.is_documented for path in (route.path, *route.also)),
    "/console/", "/console/api.js", "/docs/page.css", "/nowhere",
]  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
FRIEND = "https://friend.example"
REQUESTS = [
    {}, {"If-None-Match": "*"}, {"If-Match": '"1"'}, {"If-Match": "1"}, {"Host": "evil.example"},
    {"Sec-Fetch-Site": "cross-site"}, {"Content-Encoding": "gzip"},
    {"Origin": FRIEND, "Access-Control-Request-Method": "PUT"}, {"Expect": "100-continue"},
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_of_every_route_has_them(api: Api, guid: str, path: str) -> None:
    statuses = set()
    for method in METHODS:
        await api.put(f"/guid/{guid}", json={"user": "Ann"})
        for headers in REQUESTS:
            content = b"" if method in ("GET", "HEAD", "OPTIONS", "TRACE") else b"{}"
            answer = await api.request(
                method, path.replace("{guid}", guid), headers=headers, content=content
            )
            statuses.add(answer.status_code)
    assert statuses & {200, 404}
    assert {403, 405} <= statuses or path == "/nowhere"


@pytest.mark.parametrize("path", PATHS)
async def test_a_preflight_is_answered_on_every_route(registry: Registry, path: str) -> None:
    method = "POST" if path == "/bulk" else "GET"
    headers = {"Origin": FRIEND, "Access-Control-Request-Method": method}
    async with Api(app_of(registry, allow_origin=(FRIEND,))) as client:
        answer = await client.options(path, headers=headers)
    assert answer.status_code == (404 if path == "/nowhere" else 204)


async def test_a_hit_has_the_same_headers_as_what_the_application_answers(
    live: Api, guid: str
) -> None:
    await live.made(guid)
    address = str(live.base_url)
    request = f"GET /guid/{guid} HTTP/1.1\r\nHost: localhost\r\n"
    _, by_the_application, _ = await request_raw(
        address, f"{request}Sec-Fetch-Site: none\r\n\r\n".encode()
    )
    _, hit, _ = await request_raw(address, f"{request}\r\n".encode())
    assert hit.pop("date")
    assert by_the_application.pop("date")
    assert hit == by_the_application


@pytest.mark.parametrize("kind", errors.by_code().values(), ids=errors.by_code())
def test_what_is_said_when_a_connection_ends_has_them(kind: type[errors.GuidkeepError]) -> None:
    error = kind("GET", ["PUT"]) if kind is errors.MethodNotAllowed else kind("It is over.")
    first, *lines = last_bytes(error).partition(b"\r\n\r\n")[0].decode().split("\r\n")
    status = problem_of(kind).status
    assert first == f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    check_headers(dict(line.split(": ", 1) for line in lines))
