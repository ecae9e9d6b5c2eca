"""HTTP/1.1 byte by byte: pipelines, bytes that are not HTTP, and corner cases."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.server.wire import parse, record, request, wired

LIMIT = 32 * 1024
"""The default of --max-headers."""

GARBAGE = {
    "noise": b"\x00\x01\x02 garbage\r\n\r\n",
    "a TLS hello": bytes.fromhex("160301020001000001fc0303") + b"\x17" * 200,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version to come": b"GET /livez HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "no method": b"/livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method of its own": b"BREW /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a header without colon": b"GET /livez HTTP/1.1\r\nHost x\r\n\r\n",
    "a space before the colon": b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n",
    "a NUL in a header": b"GET /livez HTTP/1.1\r\nX: a\x00b\r\n\r\n",
    "a folded header": b"GET /livez HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    "a length that is no number": b"POST /guid HTTP/1.1\r\nContent-Length: ten\r\n\r\n",
    "a negative length": b"POST /guid HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "a length beyond all": b"POST /guid HTTP/1.1\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
    "two lengths": b"POST /guid HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": b"POST /guid HTTP/1.1\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a path that is not ASCII": "GET /Zoë HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "a tunnel": b"CONNECT guidkeep:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_http_is_answered_with_a_problem_and_the_connection_closes(
    address: str, garbage: bytes
) -> None:
    with wired(address) as wire:
        wire.send(garbage)
        answer = wire.answer()
        assert answer.is_problem(400)
        assert answer.headers["connection"] == "close"
        assert wire.is_closed()
    with wired(address) as wire:
        assert wire.ask("GET", "/livez").status == 200


@pytest.mark.parametrize("chunk", [b"zz\r\n{}\r\n0\r\n\r\n", b"2;\x00\r\n{}\r\n0\r\n\r\n"])
def test_chunks_that_are_none_are_a_problem_and_nothing_is_written(
    address: str, guid: str, chunk: bytes
) -> None:
    with wired(address) as wire:
        wire.send(request("POST", f"/guid/{guid}", None, "Transfer-Encoding: chunked"), chunk)
        assert wire.answer().is_problem(400)
        assert wire.is_closed()
    with wired(address) as wire:
        assert wire.ask("GET", f"/guid/{guid}").status == 404


def test_garbage_after_a_request_is_no_answer_to_it(address: str, guid: str) -> None:
    """A 400 would mean that the request before it changed nothing."""
    with wired(address) as wire:
        wire.send(request("POST", f"/guid/{guid}", record()) + b"\x00 garbage \r\n\r\n")
        found = parse(wire.rest())
        assert found is None or found[0].status == 201


def test_garbage_after_an_answer_is_a_problem(address: str) -> None:
    with wired(address) as wire:
        assert wire.ask("GET", "/livez").status == 200
        wire.send(b"\x00 garbage \r\n\r\n")
        assert wire.answer().is_problem(400)
        assert wire.is_closed()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * LIMIT + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * LIMIT + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
        + b"x: 0123456789\r\n" * (LIMIT // 10)
        + b"\r\n",
        b"POST /guid HTTP/1.1\r\nX: " + b"x" * LIMIT + b"\r\nContent-Length: 2\r\n\r\n{}\0",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 4 * LIMIT,
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"x: 0123456789\r\n" * LIMIT,
    ],
    ids=[
        "the URL",
        "a header",
        "many headers",
        "a header, then a body and garbage",
        "a header without end",
        "headers without end",
    ],
)
@pytest.mark.parametrize("piece", [1_000, 10**9], ids=["in pieces", "at once"])
def test_a_head_beyond_the_limit_is_431(address: str, head: bytes, piece: int) -> None:
    with wired(address) as wire:
        with suppress(ConnectionError):  # it does not wait for the rest
            wire.send(*(head[at : at + piece] for at in range(0, len(head), piece)))
        heard = wire.rest()
        if heard:  # lost if unread bytes reset the connection
            found = parse(heard)
            assert found is not None
            assert found[0].is_problem(431)
            assert str(LIMIT) in found[0].json["detail"]


def test_a_head_of_many_small_pieces_beyond_the_limit_is_431(address: str) -> None:
    """Small enough that the response is not lost with the unread rest."""
    with wired(address) as wire:
        wire.send(
            b"GET /livez HTTP/1.1\r\nHost: localhost\r\n", *[b"x: " + b"0" * 500 + b"\r\n"] * 70
        )
        assert wire.answer().is_problem(431)
        assert wire.is_closed()


def test_a_head_within_the_limit_is_read(address: str, guid: str) -> None:
    big = "X: " + "x" * (LIMIT - 200)
    with wired(address) as wire:
        assert wire.ask("GET", "/livez", None, big).status == 200
        assert wire.ask("POST", f"/guid/{guid}", record(), big).status == 201
        assert wire.ask("GET", f"/guid/{guid}", None, big).status == 200


def test_the_limit_is_for_each_head_and_not_for_a_pipeline_of_them(address: str, guid: str) -> None:
    """Pieces end in the middle of a head."""
    asked = request("GET", f"/guid/{guid}", None, "X: " + "x" * 100) * 2000
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        for at in range(0, len(asked), 40_000):
            wire.send(asked[at : at + 40_000])
        assert {wire.answer().status for _ in range(2000)} == {200}


def test_pipelined_requests_are_answered_in_their_order(address: str, guid: str) -> None:
    """Hits and misses, reads and writes, and missing records."""
    other, absent, cached = guid[::-1], "0" * 31 + guid[0], guid[16:] + guid[:16]
    expected = [
        (request("POST", f"/guid/{guid}", record("one")), 201, "one"),
        (request("GET", f"/guid/{guid}"), 200, "one"),
        (request("POST", f"/guid/{other}", record("two")), 201, "two"),
        (request("GET", f"/guid/{guid}"), 200, "one"),
        (request("GET", f"/guid/{absent}"), 404, None),
        (request("GET", f"/guid/{guid}"), 200, "one"),
        (request("GET", f"/guid/{other}"), 200, "two"),
        (request("PATCH", f"/guid/{guid}", record("three")), 200, "three"),
        (request("GET", f"/guid/{guid}"), 200, "three"),
        (request("DELETE", f"/guid/{other}"), 204, None),
        (request("GET", f"/guid/{other}"), 404, None),
        (request("GET", "/nowhere"), 404, None),
        (request("GET", f"/guid/{cached}"), 200, "cached"),
        (request("GET", f"/guid/{guid}"), 200, "three"),
        (request("DELETE", f"/guid/{guid}"), 204, None),
    ] * 10
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{cached}", record("cached"))
        wire.send(b"".join(asked for asked, *_ in expected))
        for _, status, user in expected:
            answer = wire.answer()
            assert answer.status == status
            if user is not None:
                assert answer.json["user"] == user
        wire.send(request("GET", "/livez"))
        assert wire.answer().status == 200, "nothing is left over"


def test_a_request_may_come_in_pieces_of_one_byte(address: str, guid: str) -> None:
    with wired(address) as wire:
        for asked in (
            request("POST", f"/guid/{guid}", record()),
            request("GET", f"/guid/{guid}"),
            request("DELETE", f"/guid/{guid}"),
        ):
            wire.send(*(asked[at : at + 1] for at in range(len(asked))))
        assert [wire.answer().status for _ in range(3)] == [201, 200, 204]


def test_a_body_may_come_in_chunks(address: str, guid: str) -> None:
    body = record("Ann")
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\nTrailer: x\r\n\r\n"
    with wired(address) as wire:
        wire.send(
            request("POST", f"/guid/{guid}", None, "Transfer-Encoding: chunked"),
            chunks,
            request("GET", f"/guid/{guid}"),
        )
        assert [wire.answer().status, wire.answer().json["user"]] == [201, "Ann"]


@pytest.mark.parametrize("path", ["/guid/{guid}", "/livez"])
def test_http_1_0_is_answered_and_closed(address: str, guid: str, path: str) -> None:
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        wire.send(f"GET {path.format(guid=guid)} HTTP/1.0\r\n\r\n".encode())
        answer = wire.answer()
        assert answer.status == 200
        assert answer.json
        assert wire.is_closed()


@pytest.mark.parametrize("path", ["/guid/{guid}", "/livez", "/nowhere"])
def test_connection_close_is_honoured(address: str, guid: str, path: str) -> None:
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        answer = wire.ask("GET", path.format(guid=guid), None, "Connection: close")
        assert answer.headers["connection"] == "close"
        assert wire.is_closed()


def test_expect_100_continue_is_told_to_go_on(address: str, guid: str) -> None:
    body = record()
    head = request(
        "POST", f"/guid/{guid}", None, "Expect: 100-continue", f"Content-Length: {len(body)}"
    )
    with wired(address) as wire:
        wire.send(head)
        assert wire.answer().status == 100
        wire.send(body)
        assert wire.answer().status == 201
        assert wire.ask("GET", f"/guid/{guid}").status == 200


def test_expect_100_continue_is_refused_when_the_body_would_be_too_large(address: str) -> None:
    head = request("POST", "/guid", None, "Expect: 100-continue", "Content-Length: 999999")
    with wired(address) as wire:
        wire.send(head)
        assert wire.answer().is_problem(413)


def test_a_request_after_one_whose_body_was_too_large_is_answered(address: str) -> None:
    with wired(address) as wire:
        wire.send(request("POST", "/guid", record(pad="x" * 200_000)), request("GET", "/livez"))
        assert wire.answer().is_problem(413)
        assert wire.answer().status == 200


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
@pytest.mark.parametrize("path", ["/guid/{guid}", "/livez"])
def test_an_upgrade_is_not_done_and_the_request_answered(
    address: str, guid: str, protocol: str, path: str
) -> None:
    headers = (f"Upgrade: {protocol}", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    with wired(address) as wire:
        assert wire.ask("POST", f"/guid/{guid}", record(), *headers).status == 201
        for _ in range(2):
            assert wire.ask("GET", path.format(guid=guid), None, *headers).status == 200
        assert wire.ask("GET", f"/guid/{guid}").status == 200


@pytest.mark.parametrize("path", ["/guid/{guid}", "/export"])
def test_an_upgrade_is_nothing_to_an_old_client(address: str, guid: str, path: str) -> None:
    """RFC 9110 §7.8: in an HTTP/1.0 request it is ignored; the connection then ends."""
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
    asked = f"GET {path.format(guid=guid)} HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with wired(address) as wire:
        wire.send(asked.encode())
        heard = wire.rest()
    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"transfer-encoding" not in heard
    assert guid.encode() in heard


@pytest.mark.parametrize(
    "form", ["http://localhost/guid/{guid}", "HTTP://LocalHost:80/guid/{guid}"]
)
def test_an_absolute_url_is_the_same_address(address: str, guid: str, form: str) -> None:
    """RFC 9112 §3.2.2: a server must accept it."""
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        assert wire.ask("GET", form.format(guid=guid)).json["guid"] == guid
        assert wire.ask("DELETE", form.format(guid=guid)).status == 204


@pytest.mark.parametrize("scheme", ["ftp", "FTP", "ws", "file", "httpx", "f" * 500])
def test_an_absolute_url_of_another_scheme_is_none_of_the_server_s(
    address: str, guid: str, scheme: str
) -> None:
    """RFC 9110 §7.4: it has no such resource, for any path."""
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        answer = wire.ask("GET", f"{scheme}://localhost/guid/{guid}")
        assert answer.is_problem(421)
        assert len(answer.body) < 500
        assert wire.is_closed()


def test_of_the_server_as_a_whole_all_methods_are_told(address: str) -> None:
    """RFC 9110 §9.3.7."""
    with wired(address) as wire:
        wire.send(request("OPTIONS", "*"))
        answer = wire.answer(to_head=True)
        assert answer.status == 204
        methods = answer.headers["allow"].split(", ")
        assert {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} == {*methods}
        refused = wire.ask("GET", "*")
        assert refused.is_problem(405)
        assert refused.headers["allow"] == "OPTIONS"


@pytest.mark.parametrize("is_cached", [True, False])
def test_a_percent_encoded_path_is_the_same_address(
    address: str, guid: str, is_cached: bool
) -> None:
    encoded = "".join(f"%{ord(digit):02X}" for digit in guid)
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        if is_cached:
            wire.ask("GET", f"/guid/{guid}")
        for path in (f"/guid/{encoded}", f"/%67uid/{guid}", f"/guid/{guid[:-1]}{encoded[-3:]}"):
            assert wire.ask("GET", path).json["guid"] == guid


def test_a_head_request_has_the_headers_and_no_body(address: str, guid: str) -> None:
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        got, asked = wire.ask("GET", f"/guid/{guid}"), wire.ask("HEAD", f"/guid/{guid}")
        assert asked.status == 200
        assert asked.body == b""
        assert {**asked.headers, "date": ""} == {**got.headers, "date": ""}
        assert wire.ask("HEAD", f"/guid/{guid[::-1]}").status == 404
        assert wire.ask("GET", "/livez").status == 200


def test_a_hit_and_the_long_way_give_the_same_answer(address: str, guid: str) -> None:
    """The second has a header that excludes it from the fast path."""
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{guid}", record("Zoë 😀"))
        short = wire.ask("GET", f"/guid/{guid}")
        long = wire.ask("GET", f"/guid/{guid}", None, "Content-Length: 0")
        assert short.body == long.body
        assert {**short.headers, "date": ""} == {**long.headers, "date": ""}
