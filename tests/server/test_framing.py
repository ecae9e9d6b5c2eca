"""What stands around the content of requests: trailers, Host, heads that are too large."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.server.wire import parse, record, request, wired

CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture
def chunk() -> bytes:
    body = record()
    return b"%x\r\n%b\r\n0\r\n" % (len(body), body)


@pytest.mark.parametrize("trailer", ["If-None-Match: *", 'If-Match: "1"', "Origin: http://evil"])
def test_a_trailer_is_no_header(address: str, guid: str, chunk: bytes, trailer: str) -> None:
    """RFC 9110 §6.5.1: what comes after the content may not say how it is to be treated."""
    with wired(address) as wire:
        assert wire.ask("POST", f"/guid/{guid}", record()).status == 201
        wire.send(request("POST", f"/guid/{guid}", None, CHUNKED) + chunk)
        wire.send(trailer.encode() + b"\r\n\r\n")
        assert wire.answer().status == 200


@pytest.mark.parametrize("end", [b"\r\nX: ", b""], ids=["many trailers", "one without end"])
def test_trailers_without_end_are_cut_off(address: str, chunk: bytes, end: bytes) -> None:
    piece = (b"0" * 1000 + end) * 1000
    with wired(address) as wire:
        wire.send(request("POST", "/guid", None, CHUNKED) + chunk + b"X: ")
        with suppress(OSError):  # what the server no longer reads
            wire.send(*[piece] * 60)
        found = parse(wire.rest())
        assert found is None or found[0].is_problem(431)


def test_what_follows_a_head_that_is_too_large_is_not_done(address: str, guid: str) -> None:
    """RFC 9112 §9.6: after the answer that closes, no more is processed."""
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        wire.send(
            request("GET", "/guid/0", None, "X: " + "x" * 40_000)
            + request("DELETE", f"/guid/{guid}")
        )
        assert wire.answer().is_problem(431)
        assert wire.is_closed()
    with wired(address) as wire:
        assert wire.ask("GET", f"/guid/{guid}").status == 200


def test_the_limit_of_the_head_is_for_hits_too(address: str, guid: str) -> None:
    with wired(address) as wire:
        wire.ask("POST", f"/guid/{guid}", record())
        wire.send(request("GET", f"/guid/{guid}", None, "X: " + "x" * 40_000))
        assert wire.answer().is_problem(431)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET {} HTTP/1.1\r\n\r\n", 400),
        (b"GET {} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET {} HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET {} HTTP/1.0\r\n\r\n", 200),
    ],
    ids=["none", "two", "one", "HTTP/1.0"],
)
def test_a_request_names_its_host_once(address: str, guid: str, head: bytes, status: int) -> None:
    """RFC 9112 §3.2; a record's answer comes from the cache or not."""
    for path in (f"/guid/{guid}", "/livez"):
        with wired(address) as wire:
            wire.ask("POST", f"/guid/{guid}", record())
            wire.send(head.replace(b"{}", path.encode()))
            assert wire.answer().status == status
