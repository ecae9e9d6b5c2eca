"""The framing of requests: trailers, Host, heads that are too large."""

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
    """RFC 9110 §6.5.1: trailers must not change how the content is processed."""
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
    """RFC 9112 §9.6: after a response that closes, no more is processed."""
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
        (b"GET {} HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n", 400),
        (b"GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"GET {} HTTP/1.0\r\n\r\n", 200),
    ],
    ids=["none", "two", "one", "HTTP/1.0"],
)
def test_a_request_names_its_host_once(address: str, guid: str, head: bytes, status: int) -> None:
    """RFC 9112 §3.2; the response may come from the cache or not."""
    for path in (f"/guid/{guid}", "/livez"):
        with wired(address) as wire:
            wire.ask("POST", f"/guid/{guid}", record())
            wire.send(head.replace(b"{}", path.encode()))
            assert wire.answer().status == status


BAD_CODINGS = [
    ("gzip, chunked",),
    ("gzip,chunked",),
    ("gzip", "chunked"),
    ("chunked", "gzip"),
    ("chunked, gzip",),
    ("chunked, chunked",),
    ("chunked", "chunked"),
    ("deflate, gzip, chunked",),
    ("identity, chunked",),
    ("x-unknown, Chunked",),
    ("gzip",),
    ("identity",),
    ("chunked;q=1",),
    ("xchunked",),
    ("chunked,",),
    (",chunked",),
    ("\x0bchunked",),
    ("",),
]


@pytest.mark.parametrize("codings", BAD_CODINGS, ids=" + ".join)
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("other", ["X: y", "Upgrade: h2c\r\nConnection: Upgrade"])
def test_a_transfer_coding_other_than_chunked_is_refused(
    address: str, guid: str, chunk: bytes, codings: tuple[str, ...], method: str, other: str
) -> None:
    """RFC 9112 §6.1; and the rest is not a request, not even a read of a cached record."""
    with wired(address) as wire:
        assert wire.ask("POST", f"/guid/{guid}", record()).status == 201
        fields = [f"Transfer-Encoding: {coding}" for coding in codings]
        wire.send(request(method, f"/guid/{guid}", None, other, *fields) + chunk + b"\r\n")
        with suppress(OSError):
            wire.send(request("DELETE", f"/guid/{guid}"))
        assert wire.answer().is_problem(400)
        assert wire.is_closed()
    with wired(address) as wire:
        answer = wire.ask("GET", f"/guid/{guid}")
        assert answer.json["user"] == "Ann"


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "CHUNKED", " chunked "])
def test_chunked_is_chunked_however_it_is_written(
    address: str, guid: str, chunk: bytes, coding: str
) -> None:
    with wired(address) as wire:
        wire.send(request("POST", f"/guid/{guid}", None, f"Transfer-Encoding: {coding}"))
        wire.send(chunk + b"\r\n" + request("GET", f"/guid/{guid}"))
        assert [wire.answer().status, wire.answer().status] == [201, 200]


@pytest.mark.parametrize("more", ["", "Host: x\r\n", "Connection: keep-alive\r\n"])
def test_http_1_0_has_no_transfer_coding(address: str, guid: str, chunk: bytes, more: str) -> None:
    """RFC 9112 §6.1: a server must treat such a request as one whose framing is faulty."""
    head = f"POST /guid/{guid} HTTP/1.0\r\n{more}Transfer-Encoding: chunked\r\n\r\n"
    with wired(address) as wire:
        wire.send(head.encode() + chunk + b"\r\n")
        assert wire.answer().is_problem(400)
        assert wire.is_closed()
    with wired(address) as wire:
        assert wire.ask("GET", f"/guid/{guid}").status == 404


FAULTY_HEADS = {
    "a coding and a length": "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "a length and a coding": "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "the same length twice": "Content-Length: 5\r\nContent-Length: 5",
    "a list of lengths": "Content-Length: 5, 5",
    "a length with a sign": "Content-Length: +5",
    "a hexadecimal length": "Content-Length: 0x5",
    "an empty length": "Content-Length:",
    "a length with a fraction": "Content-Length: 5.0",
    "a space before the colon": "Content-Length : 5",
    "a tab before the colon": "Content-Length\t: 5",
    "a folded length": "Content-Length: 5\r\n 0",
    "a folded coding": "Transfer-Encoding:\r\n chunked",
    "a bare LF between fields": "X: y\nTransfer-Encoding: chunked",
    "a bare CR in a value": "X: y\rTransfer-Encoding: chunked",
    "a NUL in a value": "X: y\0z",
    "a NUL in a name": "X\0: y",
    "a field without a name": ": y",
}


@pytest.mark.parametrize("head", FAULTY_HEADS.values(), ids=FAULTY_HEADS.keys())
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_head_that_can_be_read_in_two_ways_is_refused(
    address: str, guid: str, chunk: bytes, head: str, method: str
) -> None:
    with wired(address) as wire:
        assert wire.ask("POST", f"/guid/{guid}", record()).status == 201
        wire.send(request(method, f"/guid/{guid}", None, head) + chunk + b"\r\n")
        with suppress(OSError):
            wire.send(request("DELETE", f"/guid/{guid}"))
        assert wire.answer().is_problem(400)
        assert wire.is_closed()
    with wired(address) as wire:
        assert wire.ask("GET", f"/guid/{guid}").status == 200


FAULTY_CHUNKS = {
    "a size beyond all": b"fffffffffffffffff\r\n",
    "a size with a sign": b"+2\r\n{}\r\n0\r\n\r\n",
    "a size with 0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "a space after the size": b"2 \r\n{}\r\n0\r\n\r\n",
    "a bare LF after the size": b"2\n{}\r\n0\r\n\r\n",
    "a bare LF after the content": b"2\r\n{}\n0\r\n\r\n",
    "a bare LF at the end": b"2\r\n{}\r\n0\r\n\n",
    "more content than the size": b"2\r\n{}}\r\n0\r\n\r\n",
    "an extension over two lines": b'2;a="\r\n\r\n"\r\n{}\r\n0\r\n\r\n',
    "a trailer with a bare LF": b"2\r\n{}\r\n0\r\nX: y\nZ: y\r\n\r\n",
}


@pytest.mark.parametrize("chunks", FAULTY_CHUNKS.values(), ids=FAULTY_CHUNKS.keys())
def test_chunks_that_can_be_read_in_two_ways_are_refused(
    address: str, guid: str, chunks: bytes
) -> None:
    with wired(address) as wire:
        wire.send(request("POST", f"/guid/{guid}", None, CHUNKED) + chunks)
        assert wire.answer().is_problem(400)
        assert wire.is_closed()
    with wired(address) as wire:
        assert wire.ask("GET", f"/guid/{guid}").status == 404


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "h2c, chunked"])
@pytest.mark.parametrize("framing", [("Content-Length: 43",), (CHUNKED,)], ids=["length", "chunks"])
def test_an_upgrade_smuggles_nothing(
    address: str, guid: str, protocol: str, framing: tuple[str, ...]
) -> None:
    """The head is parsed twice then; the content is not, though it looks like a request."""
    inner = f"DELETE /guid/{guid[:8]} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    assert len(inner) == 43
    sent = inner if framing != (CHUNKED,) else b"2b\r\n%b\r\n0\r\n\r\n" % inner
    upgrade = (f"Upgrade: {protocol}", "Connection: Upgrade, HTTP2-Settings", "X: \xff:y")
    with wired(address) as wire:
        wire.send(request("PUT", f"/guid/{guid}", None, *upgrade, *framing) + sent)
        wire.send(request("GET", f"/guid/{guid}"))
        assert [wire.answer().status, wire.answer().status] == [400, 404]
        assert wire.ask("GET", "/livez").status == 200
