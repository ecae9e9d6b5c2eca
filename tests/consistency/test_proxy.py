"""The proxy between nodes and their servers."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of an echo server."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with closing(connection):
            try:
                while data := connection.recv(100):
                    connection.sendall(data)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy(echo) as running:
        yield running


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def test_it_forwards(proxy: Proxy) -> None:
    with connected(proxy) as wire:
        wire.sendall(b"hello")
        assert wire.recv(100) == b"hello"
        wire.shutdown(socket.SHUT_WR)
        assert wire.recv(100) == b""


def test_a_cut_resets_and_refuses_until_it_heals(proxy: Proxy) -> None:
    with connected(proxy) as wire:
        wire.sendall(b"hello")
        assert wire.recv(100) == b"hello"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            wire.recv(100)
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    proxy.heal()
    with connected(proxy) as wire:
        wire.sendall(b"again")
        assert wire.recv(100) == b"again"


def test_what_is_held_is_kept_and_goes_on(proxy: Proxy) -> None:
    with connected(proxy) as wire:
        wire.sendall(b"a")
        assert wire.recv(100) == b"a"
        proxy.hold()
        wire.sendall(b"b")
        wire.settimeout(0.2)
        with pytest.raises(TimeoutError):
            wire.recv(100)
        wire.settimeout(10)
        proxy.heal()
        assert wire.recv(100) == b"b"


def test_what_was_sent_before_a_client_left_is_delivered_late() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(10)
        with Proxy(server.getsockname()[1]) as proxy:
            proxy.hold()
            with connected(proxy) as wire:
                wire.sendall(b"the last wish")
            proxy.heal()
            connection, _ = server.accept()
            with connection:
                assert connection.recv(100) == b"the last wish"
                assert connection.recv(100) == b""


def test_a_delay_is_no_loss(proxy: Proxy) -> None:
    with connected(proxy) as wire:
        proxy.delay(0.05)
        wire.sendall(b"slow")
        assert wire.recv(100) == b"slow"


def test_a_server_that_is_not_there_refuses(proxy: Proxy) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        port = gone.getsockname()[1]
    # It may refuse while one still connects.
    with (
        Proxy(port) as unserved,
        pytest.raises(ConnectionResetError),
        connected(unserved) as wire,
    ):
        wire.recv(100)


def test_a_url_by_way_of_it(proxy: Proxy) -> None:
    direct = "mysql://me:pa%2Fss@127.0.0.1:3306/db?x=1"
    assert proxy.url(direct) == f"mysql://me:pa%2Fss@127.0.0.1:{proxy.port}/db?x=1"
    assert Proxy.before(direct)._target == 3306
