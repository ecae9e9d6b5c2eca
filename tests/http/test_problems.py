"""Errors: problem details (RFC 9457) for every fault.

Every test checks their common properties in every response: see `helpers.Api`.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from guidkeep.record import new_guid
from tests.http.helpers import SOON, Api, check_problem, detail, faults, request_raw
from tests.support import GUID, served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Clock

RECORD_METHODS = "DELETE, GET, HEAD, PATCH, POST, PUT"
NOWHERE = [
    "/", "/guids", "/GUID", f"/{GUID}", f"/guid/{GUID}/", f"/guid/{GUID}/user", "/guid//",
    "//guid", "/docs/", "/docs/../../etc/passwd", "/docs/%2e%2e/app.py", "/livez/",
    "/favicon.ico", "/%ff", "/%00",
]  # fmt: skip


async def test_all_that_is_wrong_with_a_request_is_said_at_once(api: Api) -> None:
    body = {"guid": GUID.lower(), "expire": "soon", "user": " "}
    for method in ("POST", "PUT"):
        answer = await api.request(method, "/guid/xyz", json=body)
        assert faults(answer).keys() == {"guid", "/guid", "/expire", "/user"}
    assert faults(await api.post("/guid", json=body)).keys() == {"/guid", "/expire", "/user"}


async def test_what_is_wrong_with_an_update_is_said_at_once(api: Api, guid: str) -> None:
    before = await api.made(guid)
    body = {"guid": new_guid(), "expire": 1, "user": None}
    for method in ("POST", "PATCH"):
        answer = await api.request(method, f"/guid/{guid}", json=body)
        assert faults(answer).keys() == {"/guid", "/expire", "/user"}
    assert (await api.get(f"/guid/{guid}")).text == before.text


async def test_a_wrong_header_is_said_together_with_a_wrong_body(api: Api, guid: str) -> None:
    headers = {"If-Match": "1", "If-None-Match": "2"}
    answer = await api.put(f"/guid/{guid}", json={"user": " "}, headers=headers)
    assert faults(answer).keys() == {"/user", "If-Match", "If-None-Match"}


async def test_the_detail_of_a_refusal_says_all_that_its_errors_say(api: Api, guid: str) -> None:
    answer = await api.post(f"/guid/{guid}", json={"expire": "soon"})
    assert set(faults(answer)) == {"/expire", "/user"}
    for fault in answer.json()["errors"]:
        assert fault["detail"] in detail(answer)


async def test_where_there_is_nothing_every_method_finds_nothing(api: Api) -> None:
    for path in NOWHERE:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = await api.request(method, path)
            assert (method, path, answer.status_code) == (method, path, 404)
            if method != "HEAD":
                assert answer.json()["type"] == "urn:guidkeep:problem:no-such-address"


async def test_a_guid_without_a_live_record_is_another_kind_of_404(api: Api, guid: str) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        answer = await api.request(method, f"/guid/{guid}")
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:guidkeep:problem:not-found"


@pytest.mark.parametrize(
    ("path", "allow", "methods"),
    [
        ("/guid", "GET, HEAD, POST", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"]),
        ("/guid/", "GET, HEAD, POST", ["PUT", "PATCH", "DELETE", "OPTIONS"]),
        (f"/guid/{GUID}", RECORD_METHODS, ["OPTIONS", "TRACE", "PROPFIND"]),
        ("/guid/xyz", RECORD_METHODS, ["OPTIONS", "TRACE"]),
        *((f"/{name}", "GET, HEAD", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
          for name in ("livez", "readyz", "metrics", "openapi.json", "docs", "docs/page.css")),
    ],
)  # fmt: skip
async def test_a_method_that_is_not_allowed_is_told_which_are(
    live: Api, path: str, allow: str, methods: list[str]
) -> None:
    for method in methods:
        request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        status, headers, content = await request_raw(str(live.base_url), request)
        if method == "FOO":  # the parser knows only the registered methods
            assert status in (400, 405)
            continue
        assert (method, status) == (method, 405)
        assert headers["allow"] == allow
        assert allow in json.loads(content)["detail"]
        check_problem(405, json.loads(content))


async def test_in_the_application_itself_any_word_can_be_a_method(api: Api) -> None:
    for method in ("OPTIONS", "TRACE"):
        answer = await api.request(method, "/guid")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize(
    "request_bytes",
    [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
     b"POST /guid HTTP/1.1\r\nContent-Length: x\r\n\r\n",
     b"POST /guid HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"],
)  # fmt: skip
async def test_what_is_no_http_is_a_problem_too(live: Api, request_bytes: bytes) -> None:
    status, headers, content = await request_raw(str(live.base_url), request_bytes)
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    check_problem(400, json.loads(content))


@pytest.mark.parametrize("size", [33 * 1024, 60 * 1024, 200 * 1024])
@pytest.mark.parametrize("where", ["url", "header"])
@pytest.mark.parametrize("is_first", [True, False])
async def test_a_head_that_is_too_large_is_a_problem_too(
    live: Api, size: int, where: str, is_first: bool
) -> None:
    url, header = ("x" * size, "y") if where == "url" else ("", "y" * size)
    before = b"" if is_first else b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = f"GET /guid?{url} HTTP/1.1\r\nHost: localhost\r\nX-Long: {header}\r\n\r\n".encode()
    address = live.base_url
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        async with asyncio.timeout(3):
            if before:
                writer.write(before)
                assert b"200 OK" in await reader.readuntil(b"}")
            writer.write(head[: 64 * 1024])  # as much as arrives in one piece
            answer = await reader.read(1 << 16)
    finally:
        writer.close()
    assert answer.startswith(b"HTTP/1.1 431 ")
    check_problem(431, json.loads(answer.partition(b"\r\n\r\n")[2]))


@pytest.mark.parametrize("api", ["memory://"], indirect=True)
@pytest.mark.timeout(30)
async def test_a_long_condition_that_is_none_after_all_is_refused_at_once(
    api: Api, guid: str
) -> None:
    await api.made(guid)
    for filling in (", ", " , ", " ", ",", '"1", '):
        header = {"If-None-Match": '"1"' + filling * 2000 + "x"}
        assert faults(await api.get(f"/guid/{guid}", headers=header)).keys() == {"If-None-Match"}


@pytest.mark.waits
async def test_more_connections_than_allowed_are_refused_and_welcome_later(
    clock: Clock, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'guidkeep.db'}"
    with served(clock, store=store, max_connections=1) as running:
        async with Api(running.address) as api:
            assert (await api.get("/livez")).status_code == 200  # and stays connected
            status, headers, content = await request_raw(running.address, b"")
            assert (status, headers["retry-after"]) == (429, "1")
            check_problem(429, json.loads(content))
        async with asyncio.timeout(10):
            while status != 200:  # until the server has noticed that the first is gone
                request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                status, _, _ = await request_raw(running.address, request)


async def test_a_4xx_changed_nothing(api: Api, guid: str) -> None:
    before = await api.made(guid, expire=SOON)
    url, bad = f"/guid/{guid}", {"user": ""}
    answers = [
        await api.post(url, json=bad),
        await api.put(url, json=bad),
        await api.patch(url, json=bad),
        await api.post(url, content="{"),
        await api.put(url, json={"user": "Bea"}, headers={"If-None-Match": "*"}),
        await api.delete(url, headers={"If-Match": '"1"'}),
        await api.delete(url, headers={"Sec-Fetch-Site": "cross-site"}),
        await api.put(url, content=b'{"user":"Bea","fill":"' + b"x" * 65536 + b'"}'),
    ]
    assert {answer.status_code for answer in answers} == {400, 403, 412, 413}
    after = await api.get(url)
    assert (after.text, after.headers["etag"]) == (before.text, before.headers["etag"])
