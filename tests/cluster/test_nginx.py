"""nginx fills no disk: unread bytes stay with their sender, and nginx's buffers are bounded."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep import Client
from servers import nginx
from servers.nodes import Node
from servers.processes import Missing, free_port, listens
from tests.engines import lack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.thorough

MOST = 32 * 2**20
"""A generous limit for the bytes in the sockets' buffers."""
STUCK = 1.0
"""Seconds after which a sender that can't send assumes that the receiver does not read."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
LARGEST = 2**17
"""The largest body that nginx accepts, in bytes."""


@contextmanager
def balancing(folder: Path, node: int) -> Iterator[int]:
    """Starts nginx in front of the node, without folders for temporary files; yields its port.

    A request that needed a temporary file would fail.
    """
    port = free_port()
    try:
        balancer = nginx.start(folder, port, [node])
    except Missing as missing:
        lack(missing)
    with balancer:
        balancer.wait_for(lambda: listens(port), "answer")
        for name in nginx.TEMPORARY:
            shutil.rmtree(folder / name)
        yield port


def taken(connection: socket.socket) -> int:
    """Returns how many bytes of an endless stream are accepted."""
    connection.settimeout(STUCK)
    piece, done = bytes(2**16), 0
    try:
        while done <= MOST:
            done += connection.send(piece)
    except TimeoutError:
        return done
    except OSError:  # nginx has given up
        pytest.fail(f"cut off after {done} bytes")
    return done


def problem_in(answer: http.client.HTTPResponse) -> dict[str, Any]:
    """Returns the problem in a response."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(answer.read())
    assert problem["status"] == answer.status
    return problem


@pytest.fixture
def upstream() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with Node(tmp_path, ["--store", f"sqlite:///{tmp_path}/guidkeep.db"]) as started:
        yield started


@pytest.mark.parametrize("path", ["/export", "/guid?limit=1000", "/bulk"])
def test_an_answer_that_nobody_reads_is_not_put_on_the_disk(
    tmp_path: Path, upstream: socket.socket, path: str
) -> None:
    with (
        balancing(tmp_path, upstream.getsockname()[1]) as port,
        socket.create_connection(("127.0.0.1", port)) as client,
    ):
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        node, _ = upstream.accept()
        with node:
            node.recv(65_536)
            node.sendall(HEAD)
            assert taken(node) < MOST


@pytest.mark.parametrize(
    ("path", "framing"),
    [
        ("/guid", "Content-Length: 1000000000"),
        ("/guid", "Transfer-Encoding: chunked"),
        ("/bulk", "Transfer-Encoding: chunked"),
    ],
)
def test_a_body_without_end_is_refused_before_a_node_hears_of_it(
    tmp_path: Path, upstream: socket.socket, framing: str, path: str
) -> None:
    upstream.settimeout(0)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode()
    chunk = b"%x\r\n" % (LARGEST + 1) + bytes(LARGEST + 1) if "chunked" in framing else b""
    with (
        balancing(tmp_path, upstream.getsockname()[1]) as port,
        socket.create_connection(("127.0.0.1", port), timeout=30) as client,
    ):
        client.sendall(head + chunk)
        answer = http.client.HTTPResponse(client, method="POST")
        answer.begin()
        assert answer.status == 413
        assert "guidkeep import" in problem_in(answer)["detail"]
        with pytest.raises(BlockingIOError):
            upstream.accept()


def test_a_request_to_bulk_that_the_node_does_not_read_stays_with_the_client(
    tmp_path: Path, upstream: socket.socket
) -> None:
    head = b"POST /bulk HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"
    with (
        balancing(tmp_path, upstream.getsockname()[1]) as port,
        socket.create_connection(("127.0.0.1", port)) as client,
    ):
        client.sendall(head)
        node, _ = upstream.accept()
        with node:
            assert taken(client) < MOST


@pytest.mark.parametrize(
    ("path", "framing"),
    [
        ("/guid", "Content-Length: 131072"),
        ("/guid", "Transfer-Encoding: chunked"),
        ("/bulk", "Transfer-Encoding: chunked"),
    ],
)
def test_a_body_that_is_taken_waits_in_memory_until_it_is_complete(
    tmp_path: Path, upstream: socket.socket, path: str, framing: str
) -> None:
    """The node gets its length, in either form."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n"
    size = LARGEST - 4096  # the chunks' framing counts too
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, bytes(size))
    if "Length" in framing:
        size, body = LARGEST, bytes(LARGEST)
    with (
        balancing(tmp_path, upstream.getsockname()[1]) as port,
        socket.create_connection(("127.0.0.1", port), timeout=30) as client,
    ):
        client.sendall(head.encode() + body)
        node, _ = upstream.accept()
        with node, node.makefile("rb") as request:
            assert request.readline() == f"POST {path} HTTP/1.1\r\n".encode()
            fields = http.client.parse_headers(request)
            assert fields["Content-Length"] == str(size)
            assert len(request.read(size)) == size


@pytest.mark.parametrize(("size", "kind"), [(70_000, "urn:guidkeep:"), (200_000, "about:blank")])
def test_what_is_too_large_for_a_record_is_a_problem_whoever_says_so(
    tmp_path: Path, node: Node, size: int, kind: str
) -> None:
    """The node refuses up to 128 KiB; beyond that nginx does."""
    with (
        balancing(tmp_path, node.port) as port,
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection,
    ):
        connection.request("POST", "/guid", json.dumps({"user": "a", "filling": "f" * size}))
        answer = connection.getresponse()
        assert answer.status == 413
        assert problem_in(answer)["type"].startswith(kind)


def test_many_records_go_through_in_both_directions(tmp_path: Path, node: Node) -> None:
    """11 MB of lines, sent by the project's client."""
    count = 20_000
    records = ({"user": "a", "number": number, "filling": "f" * 500} for number in range(count))
    with (
        balancing(tmp_path, node.port) as port,
        Client(f"http://127.0.0.1:{port}") as client,
    ):
        assert sum(line.error is None for line in client.bulk(records)) == count
        numbers = sorted(record.metadata["number"] for record in client.export())
    assert numbers == list(range(count))


@pytest.mark.parametrize("reads", [True, False], ids=["as it sends", "when all is sent"])
def test_a_request_to_bulk_goes_through_whole_however_long_it_is(
    tmp_path: Path, node: Node, reads: bool
) -> None:
    """The same in one request of another client."""
    count = 20_000
    lines = b"".join(
        b'{"user":"a","number":%d,"filling":"%b"}\n' % (number, b"f" * 500)
        for number in range(count)
    )
    head = b"POST /bulk HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    with (
        balancing(tmp_path, node.port) as port,
        socket.create_connection(("127.0.0.1", port), timeout=60) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        sending = pool.submit(client.sendall, head % len(lines) + lines)
        if not reads:
            sending.result()
        answer = http.client.HTTPResponse(client, method="POST")
        answer.begin()
        answers = [json.loads(line) for line in answer]
        sending.result()
    assert [line["line"] for line in answers] == list(range(1, count + 1))
    assert {line["status"] for line in answers} == {201}
