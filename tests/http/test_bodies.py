"""The reading of a request's body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.settings import Settings
from tests.http.helpers import Api, detail, faults, nested, request_raw
from tests.support import app_of, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from guidkeep.registry.registry import Registry
    from tests.support import Clock

LIMIT = 64 * 1024
NO_OBJECTS = [
    b'{"user": "Ann",}', b'{"user": "Ann", "a": [1,]}', b'{"user": "Ann"', b"{", b"}",
    b'{"user": "Ann"} x', b'{"user": "Ann"}{}', b"{user: 1}", b"{'user': 'Ann'}",
    b'{"user": "Ann", "a": 01}', b'{"user": "Ann", "a": .5}', b'{"user": "Ann", "a": 1.}',
    b'{"user": "Ann", "a": +1}', b'{"user": "Ann", "a": 0x1}', b'{"user": "Ann", "a": True}',
    b'{"user": "Ann", "a": "\n"}', b'{"user": "Ann", "a": "\x00"}',
    b'{"user": "Ann", "a": "\\x"}',
    b'{"user": "Ann" /* c */}', b'\xef\xbb\xbf{"user": "Ann"}', b'{"user": "\xff"}',
    b'{"user": "\xe9"}', b'{"user": "\xed\xa0\x80"}', '{"user": "Ann"}'.encode("utf-16"),
    b'{"user": "\\ud83d"}', b'{"user": "Ann", "\\udE00": 1}', b"user=Ann", b"\x00", b" ", b"\n",
    b'{"user": "Ann", "a": NaN}', b'{"user": "Ann", "a": Infinity}',
    b'{"user": "Ann", "a": [-Infinity]}', b"[]", b'[{"user": "Ann"}]', b'"user"', b"1", b"1.5",
    b"null", b"true", b"NaN", b"[" * 60_000, b'{"a":' * 10_000,
]  # fmt: skip


def body_of(size: int) -> bytes:
    """Returns a valid body of exactly that many bytes."""
    start, end = b'{"user":"Ann","fill":"', b'"}'
    return start + b"x" * (size - len(start) - len(end)) + end


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    """Yields the body, so that it is sent without a Content-Length."""
    for at in range(0, len(body), 10_000):
        yield body[at : at + 10_000]


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "application/merge-patch+json", "text/plain", "nonsense",
     "application/x-www-form-urlencoded", "application/json; charset=latin-1"],
)  # fmt: skip
async def test_a_body_is_read_as_json_whatever_its_content_type_says(
    api: Api, guid: str, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    body = '{"user": "\N{LATIN SMALL LETTER E WITH ACUTE}"}'.encode()
    answer = await api.post(f"/guid/{guid}", content=body, headers=headers)
    assert answer.status_code == 201
    assert answer.json()["user"] == "\N{LATIN SMALL LETTER E WITH ACUTE}"
    assert (await api.patch(f"/guid/{guid}", content=body, headers=headers)).status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x"])
async def test_an_encoded_body_is_refused_with_what_would_be_right(
    api: Api, guid: str, coding: str
) -> None:
    before = await api.made(guid)
    sent: dict[str, Any] = {"content": b'{"user":"Bea"}', "headers": {"Content-Encoding": coding}}
    for method, path in (
        ("POST", "/guid"),
        ("POST", f"/guid/{guid}"),
        ("PUT", f"/guid/{guid}"),
        ("PATCH", f"/guid/{guid}"),
        ("POST", "/bulk"),
    ):
        answer = await api.request(method, path, **sent)
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
        assert repr(coding) in detail(answer)
    assert (await api.get(f"/guid/{guid}")).text == before.text


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
async def test_a_body_may_say_that_it_is_not_encoded(api: Api, guid: str, coding: str) -> None:
    headers = {"Content-Encoding": coding}
    answer = await api.post(f"/guid/{guid}", content=b'{"user":"Ann"}', headers=headers)
    assert answer.status_code == 201


async def test_an_empty_body_is_an_empty_object(api: Api, guid: str) -> None:
    assert faults(await api.post("/guid")).keys() == {"/user"}
    before = await api.made(guid)
    for method in ("POST", "PATCH"):
        answer = await api.request(method, f"/guid/{guid}")
        assert (answer.status_code, answer.text) == (200, before.text)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_what_is_no_json_object_is_refused(api: Api, guid: str, method: str) -> None:
    before = await api.made(guid)
    for body in NO_OBJECTS:
        answer = await api.request(method, f"/guid/{guid}", content=body)
        assert (body[:32], answer.status_code) == (body[:32], 400)
        assert (await api.post("/guid", content=body)).status_code == 400
    assert (await api.get(f"/guid/{guid}")).text == before.text


@pytest.mark.parametrize(
    "body",
    [
        '{"user": "Ann", "user": "Bea"}', '{"user": "Ann", "user": "Ann"}',
        '{"user": "Ann", "us\\u0065r": "Bea"}', '{"user": "Ann", "deep": [{"a": 1, "a": 1}]}',
        '{"expire": "4102444800", "expire": "4102444801", "user": "Ann"}',
    ],
)  # fmt: skip
async def test_a_member_that_stands_twice_is_refused_and_named(
    api: Api, guid: str, body: str
) -> None:
    answer = await api.post(f"/guid/{guid}", content=body)
    assert answer.status_code == 400
    assert "occurs twice" in detail(answer)
    assert (await api.get(f"/guid/{guid}")).status_code == 404


async def test_bodies_may_nest_32_levels_deep_and_no_deeper(api: Api, guid: str) -> None:
    answer = await api.post(f"/guid/{guid}", content=nested(33))
    assert answer.status_code == 400
    assert "32" in detail(answer)
    answer = await api.post(f"/guid/{guid}", content=nested(32))
    assert answer.status_code == 201
    assert "[" * 31 + "]" * 31 in (await api.get(f"/guid/{guid}")).text


async def test_brackets_inside_strings_are_no_levels(api: Api, guid: str) -> None:
    assert (await api.made(guid, note='[{"\\' * 50)).json()["note"] == '[{"\\' * 50


async def test_a_merge_can_not_nest_deeper_than_a_body(api: Api, guid: str) -> None:
    await api.made(guid, deep={"a": 1})
    assert (await api.patch(f"/guid/{guid}", content=nested(33))).status_code == 400
    assert (await api.get(f"/guid/{guid}")).json()["deep"] == {"a": 1}


async def test_a_body_may_have_64_kib_and_not_a_byte_more(api: Api, guid: str) -> None:
    assert Settings().max_body == LIMIT
    for send in (lambda body: body, in_chunks):
        answer = await api.put(f"/guid/{guid}", content=send(body_of(LIMIT)))
        assert answer.status_code in (200, 201)
        before = answer.text
        for method in ("POST", "PUT", "PATCH"):
            answer = await api.request(method, f"/guid/{guid}", content=send(body_of(LIMIT + 1)))
            assert answer.status_code == 413
            assert str(LIMIT) in detail(answer)
        assert (await api.get(f"/guid/{guid}")).text == before


async def test_a_body_is_too_large_though_a_piece_of_it_ends_at_the_limit(
    registry: Registry, guid: str
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"user": "Ann"}'.ljust(100)
        yield b" "

    async with Api(app_of(registry, max_body=100)) as api:
        answer = await api.post(f"/guid/{guid}", content=pieces())
    assert answer.status_code == 413


async def test_the_limit_is_a_setting(registry: Registry, guid: str) -> None:
    async with Api(app_of(registry, max_body=100)) as api:
        for send in (lambda body: body, in_chunks):
            answer = await api.put(f"/guid/{guid}", content=send(body_of(101)))
            assert answer.status_code == 413
            answer = await api.put(f"/guid/{guid}", content=send(body_of(100)))
            assert answer.status_code in (200, 201)


async def test_the_limit_is_a_setting_of_a_server_too(clock: Clock, tmp_path: Path) -> None:
    with served(clock, store=f"sqlite:///{tmp_path / 'guidkeep.db'}", max_body=100) as running:
        async with Api(running.address) as api:
            assert (await api.post("/guid", content=body_of(100))).status_code == 201
            assert (await api.post("/guid", content=body_of(101))).status_code == 413


async def test_a_body_that_announces_too_much_is_refused_before_it_is_sent(live: Api) -> None:
    head = (
        b"POST /guid HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        b"Content-Length: 65537\r\n\r\n"
    )
    status, headers, content = await request_raw(str(live.base_url), head)
    assert status == 413
    assert headers["content-type"] == "application/problem+json"
    assert b"65536" in content


async def test_a_body_without_end_is_refused_as_soon_as_it_is_too_large(live: Api) -> None:
    head = b"POST /guid HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    status, _, _ = await request_raw(str(live.base_url), head + chunk * 3)
    assert status == 413
