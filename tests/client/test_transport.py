"""Faults of real connections; addresses; and the headers of each request."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep import AsyncClient, Client, __version__
from guidkeep.client import transport
from guidkeep.errors import OutcomeUnknown, Unreachable
from tests.client.awaited import Awaited
from tests.client.scripted import GUID

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = b'{"guid":"%b","expire":"4102444800","user":"Ann"}' % GUID.encode()
RECORD = b'HTTP/1.1 200 OK\r\netag: "1"\r\ncontent-length: %d\r\n\r\n%b' % (len(BODY), BODY)
BEGUN = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
)
AWAY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
SILENCE = b"silence"
"""The server sends nothing, and keeps the connection open."""


class Odd:
    """A server that responds to the requests in order with those bytes, then closes."""

    def __init__(self, responses: list[bytes]) -> None:
        self.responses = responses
        self.requests: list[bytes] = []
        self.address = ""
        self.done = threading.Event()


@contextmanager
def odd(*responses: bytes) -> Iterator[Odd]:
    told = Odd(list(responses))

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += self.rfile.readline()
            length = int(_header(head, b"content-length") or 0)
            told.requests.append(head + self.rfile.read(length))
            response = told.responses.pop(0)
            if response == SILENCE:
                told.done.wait(30)
            else:
                self.wfile.write(response)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        told.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield told
        finally:
            told.done.set()
            server.shutdown()
            thread.join()


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n"):
        found, _, value = line.partition(b": ")
        if found.lower() == name:
            return value
    return None


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


@pytest.fixture(params=[Client, AsyncClient])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


async def ask(kind: Any, address: str, operation: str, *arguments: Any, **options: Any) -> Any:
    client = Awaited(kind(address, **options))
    try:
        return await getattr(client, operation)(*arguments)
    finally:
        await client.close()


async def test_certificates_are_read_only_where_tls_is_spoken(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    load = ssl.SSLContext.load_verify_locations

    def load_and_tell(context: ssl.SSLContext, *paths: Any, **named: Any) -> None:
        read.append(paths)
        load(context, *paths, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load_and_tell)
    for address in ("http://127.0.0.1:1", "http://elsewhere.example"):
        await Awaited(kind(address)).close()
    assert not read
    await Awaited(kind("https://elsewhere.example")).close()
    assert read


async def test_a_connection_that_is_lost_is_made_again(kind: Any) -> None:
    with odd(b"", RECORD) as server:
        record = await ask(kind, server.address, "read", GUID)
    assert record.etag == '"1"'
    assert len(server.requests) == 2


async def test_a_write_whose_answer_was_cut_is_sent_again_as_it_was(kind: Any) -> None:
    with odd(RECORD[:-1], RECORD) as server:
        await ask(kind, server.address, "update", GUID, {"user": "Ann"})
    assert server.requests[0] == server.requests[1]
    assert server.requests[0].endswith(b'\r\n\r\n{"user":"Ann"}')


async def test_where_nobody_listens_nothing_was_written(kind: Any) -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unreachable, match=f"no connection to {address}.*wrote nothing"):
            await ask(kind, address, "create", {"user": "Ann"}, attempts=2)


@pytest.mark.parametrize("operation", ["read", "export"])
async def test_an_answer_that_does_not_come_in_time_is_not_waited_for(
    kind: Any, operation: str
) -> None:
    arguments = (GUID,) if operation == "read" else ()
    with odd(SILENCE) as server, pytest.raises(Unreachable, match="did not respond in time"):
        await ask(kind, server.address, operation, *arguments, timeout=0.1, attempts=1)


async def test_a_write_that_is_not_answered_in_time_may_have_happened(kind: Any) -> None:
    with odd(SILENCE) as server, pytest.raises(OutcomeUnknown):
        await ask(kind, server.address, "delete", GUID, timeout=0.1, attempts=1)


async def test_an_answer_that_trickles_is_not_waited_for_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr("guidkeep.client.synchronous.time.monotonic", lambda: float(next(now)))
    with odd(RECORD) as server, pytest.raises(Unreachable, match="in time"):
        await ask(Client, server.address, "read", GUID, timeout=5, attempts=1)


async def test_there_may_be_no_limit_to_the_time(kind: Any) -> None:
    with odd(RECORD) as server:
        assert await ask(kind, server.address, "get", GUID, timeout=None)


@pytest.mark.waits
async def test_an_export_goes_on_when_its_connection_is_lost(kind: Any) -> None:
    first, second = ((BODY + b"\n").replace(GUID.encode(), digit * 32) for digit in (b"1", b"2"))
    with odd(
        BEGUN + chunk(first) + chunk(second[:9]),
        b"",
        AWAY,
        BEGUN + chunk(first + second) + chunk(b"")
    ) as server:  # fmt: skip
        records = await ask(kind, server.address, "export")
    assert [record.guid for record in records] == ["1" * 32, "2" * 32]


async def test_an_export_that_is_left_early_is_closed(kind: Any) -> None:
    lines = b"".join(BODY + b"\n" for _ in range(3))
    with odd(BEGUN + chunk(lines) + chunk(b"")) as server:
        if kind is Client:
            with Client(server.address) as client:
                records = client.export()
                assert next(records).guid == GUID
                records.close()  # type: ignore[attr-defined]  # it is a generator
        else:
            async with AsyncClient(server.address) as other:
                stream = other.export()
                assert (await anext(stream)).guid == GUID
                await stream.aclose()  # type: ignore[attr-defined]  # as above


async def test_connections_are_used_again(kind: Any, running: Any) -> None:
    client = Awaited(kind(running.address))
    for _ in range(3):
        await client.check()
    pool: Any = client.client._http.own()._transport
    pool = pool._pool
    assert len(pool.connections) == 1
    await client.close()


async def test_each_request_says_who_asks_and_what_the_caller_adds(kind: Any) -> None:
    with odd(RECORD) as server:
        address = server.address.replace("//", "//ann:secret@")
        await ask(kind, address, "read", GUID, headers={"x-tenant": "a"})
    head = server.requests[0].lower()
    assert f"user-agent: guidkeep/{__version__}".encode() in head
    assert b"x-tenant: a" in head
    assert b"authorization: basic yw5uonnly3jlda==" in head


async def test_a_password_is_never_shown(kind: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://ann:secret@127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unreachable, match=r" to http://127") as raised:
            await ask(kind, address, "read", GUID, attempts=1)
    assert "secret" not in str(raised.value)
    assert "secret" not in kind(address).url
    for url in ("ftp://ann:secret@host", "http://ann:sec/secret@host", "http://ann:#secret@host"):
        with pytest.raises(
            ValueError, match=r"address of a service|percent-encoded|%23"
        ) as refused:
            kind(url)
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8080",
        "ftp://host",
        "http://",
        "http://host:x",
        "http://host/?a=b",
        "http://ä..ö",
        "http://a..b",
    ],
)
def test_what_is_no_address_is_refused(kind: Any, url: str) -> None:
    with pytest.raises(ValueError, match=r"is not the address of a service; write http://127"):
        kind(url)


@pytest.mark.parametrize("url", ["http://h#a", "http://h/\x01", "http://h/%00", "https://a:b#@h"])
def test_an_address_that_would_be_cut_short_is_refused(kind: Any, url: str) -> None:
    with pytest.raises(ValueError, match=r"write %23|control character"):
        kind(url)


def test_the_address_is_that_of_the_environment_unless_one_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GUIDKEEP_URL", raising=False)
    assert transport.address_of(None) == "http://127.0.0.1:8080"
    monkeypatch.setenv("GUIDKEEP_URL", "http://there:1/")
    assert transport.address_of(None) == "http://there:1"
    assert transport.address_of("https://here") == "https://here"


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
        ("http://localhost", True),
        ("http://10.0.0.1", False),
        ("http://guidkeep.test", False),
    ],
)
async def test_no_proxy_is_asked_for_this_machine(
    kind: Any, monkeypatch: pytest.MonkeyPatch, url: str, here: bool
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    client = Awaited(kind(url))
    assert bool(client.client._http.own()._mounts) is not here
    await client.close()
