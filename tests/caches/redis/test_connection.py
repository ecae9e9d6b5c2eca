"""A connection to a server that is no Redis, or a Redis of a kind that can't run here."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from structlog.testing import capture_logs

from guidkeep.caches.redis.cache import RedisCache
from guidkeep.caches.redis.connection import (
    Connection,
    Late,
    Unavailable,
    connect,
    fields,
    identity,
    ignore,
)
from guidkeep.caches.redis.url import RedisAddress
from guidkeep.metrics import Metrics
from servers import redis
from servers.processes import free_port
from tests.caches.redis.conftest import NOW, RECORD, gone_out, held, keep, server_of
from tests.support import iterations, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from servers.redis import Redis
    from tests.caches.redis.conftest import Opener


@asynccontextmanager
async def impostor(*says: bytes, greets: bytes = b"") -> AsyncIterator[str]:
    """Listens in place of a Redis; sends these replies, one after each command."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greets)
        for reply in says:
            if await reader.read(65_536):
                writer.write(reply)
        await reader.read(65_536)
        writer.close()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        await listener.wait_closed()


def bulk(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


@pytest.mark.parametrize(
    ("says", "greets", "complaint"),
    [
        ([bulk("redis_version:6.2.1") * 2], b"", "it is Redis 6.2.1; Guidkeep needs 7 or newer"),
        ([bulk("nothing") * 2], b"", "it is Redis 0; Guidkeep needs 7 or newer"),
        ([b"HTTP/1.1 400 Bad Request\r\n"], b"", "the reply is not in Redis' protocol"),
        ([], b"-ERR max number of clients reached\r\n", "max number of clients reached"),
        ([bulk("redis_version:7.0.0") + b":5\r\n"], b"", "it is a replica"),
        ([b"-LOADING it is\r\n" * 2], b"", "LOADING it is"),
    ],
)
async def test_an_unsuitable_redis_is_not_used(
    open_at: Opener, says: list[bytes], greets: bytes, complaint: str
) -> None:
    async with impostor(*says, greets=greets) as url:
        cache = open_at(url)
        with pytest.raises(OSError, match=complaint):
            await cache.ping()
        await cache.close()


async def test_a_reply_that_no_redis_sends_is_a_failure_too_and_is_tried_again(
    open_at: Opener,
) -> None:
    async with impostor(b":1\r\n" * 2) as url:
        cache = open_at(url)
        with capture_logs() as logs:
            for _ in range(2):
                with pytest.raises(OSError, match="no attribute 'split'"):
                    await cache.ping()
        await cache.close()
    assert [line["event"] for line in logs] == ["cache can't be greeted"] * 2


async def test_a_reply_about_a_cluster_that_no_redis_sends_is_a_failure_too(
    open_at: Opener,
) -> None:
    async with impostor(b":1\r\n") as url:
        cache = open_at(url.replace("redis", "redis+cluster"))
        with capture_logs() as logs, pytest.raises(OSError, match="slots without a server"):
            await cache.ping()
        await cache.close()
    assert [line["event"] for line in logs] == ["cache can't be greeted", "cache lost"]


async def connected(
    server: Redis,
    lost: list[Unavailable],
    *,
    timeout: float = 5,
    patience: float = 5,
    observe: Callable[[int, float], None] = ignore,
) -> Connection:
    def make() -> Connection:
        return Connection(
            timeout=timeout,
            patience=patience,
            observe=observe,
            lost=lambda _, error: lost.append(error),
        )

    return await connect(server.host, server.port, None, make)


async def test_commands_of_one_event_loop_iteration_and_the_next_go_out_in_one_piece(
    shared: Redis,
) -> None:
    sizes: list[int] = []
    connection = await connected(shared, [], observe=lambda size, _: sizes.append(size))
    first = connection.ask("PING")
    await asyncio.sleep(0)
    second = connection.ask("PING")
    assert [await first, await second] == [b"PONG"] * 2
    assert sizes == [2]
    await connection.close()


async def test_commands_under_way_when_a_connection_is_cut_are_lost(shared: Redis) -> None:
    lost: list[Unavailable] = []
    connection = await connected(shared, lost)
    assert await connection.ask("PING") == b"PONG"
    sent = [connection.ask("PING"), connection.ask("PING")]
    await gone_out()
    unsent = connection.ask("PING")
    error = Unavailable("as the test wants it")
    connection.verify()  # no identity is expected yet
    connection.expect(b"another")
    connection.verify()
    connection.cut(error)
    connection.cut(Unavailable("once more"))
    connection.verify()
    assert [await each for each in (*sent, unsent, connection.ask("PING"))] == [error] * 4
    assert lost == [error]
    await connection.close()


async def test_a_connection_is_cut_when_the_server_is_another(shared: Redis) -> None:
    lost: list[Unavailable] = []
    connection = await connected(shared, lost)
    connection.expect(b"another")
    connection.verify()
    reply = await connection.ask("PING")
    assert "not the master that it was" in str(reply)
    assert lost == [reply]
    await connection.close()


async def test_a_connection_with_an_unexpected_reply_is_cut() -> None:
    lost: list[Unavailable] = []
    async with impostor(greets=b"-ERR max number of clients reached\r\n") as url:
        connection = await connected(redis.at(url), lost)
        await until(lambda: lost)
        assert "max number of clients reached" in str(lost[0])
        await connection.close()


async def test_a_cache_may_be_closed_before_it_is_connected(open_at: Opener) -> None:
    cache = open_at(f"redis://127.0.0.1:{free_port()}")
    server_of(cache).distrust(Unavailable("nobody is there"))  # and nothing to let go of
    asked = asyncio.ensure_future(cache.get(RECORD.guid, NOW))
    await asyncio.sleep(0)  # it asks
    await asyncio.sleep(0)  # and begins to connect
    await cache.close()
    assert await asked is None


async def test_a_batch_has_its_whole_deadline_though_one_before_it_had_begun_its_own(
    shared: Redis,
) -> None:
    loop = asyncio.get_running_loop()
    connection = await connected(shared, [], timeout=0.1, patience=0.1)
    assert await connection.ask("PING") == b"PONG"
    await asyncio.sleep(0.05)
    began = loop.time()
    assert "no reply within 0.1 s" in str(await connection.ask("BLPOP", "nothing-there", 5))
    assert loop.time() >= began + 0.1
    await connection.close()


async def test_a_hurried_command_does_not_wait_for_a_redis_that_is_late(own: Redis) -> None:
    connection = await connected(own, [], timeout=0.5, patience=60)
    assert await connection.ask("PING", hurried=True) == b"PONG"
    own.process.signal(signal.SIGSTOP)
    first = [connection.ask("ECHO", "first", hurried=True), connection.ask("ECHO", "second")]
    await gone_out()
    second = connection.ask("ECHO", "third", hurried=True)
    assert isinstance(await first[0], Late)
    assert isinstance(await second, Late)
    assert connection.is_late
    assert "Redis is late" in str(await connection.ask("ECHO", "fourth", hurried=True))
    last = connection.ask("ECHO", "fifth")
    own.process.signal(signal.SIGCONT)
    assert [await first[1], await last] == [b"second", b"fifth"]
    await until(lambda: not connection.is_late)
    assert await connection.ask("ECHO", "sixth", hurried=True) == b"sixth"
    await connection.close()


async def test_the_rest_of_a_batch_with_some_replies_is_late(own: Redis) -> None:
    connection = await connected(own, [], timeout=0.2, patience=60)
    first = connection.ask("ECHO", "first", hurried=True)
    waiting = connection.ask("BLPOP", "nothing-there", 60)
    behind = connection.ask("ECHO", "behind", hurried=True)
    assert await first == b"first"
    assert isinstance(await behind, Late)
    own.ask("LPUSH", "nothing-there", "something")
    assert await waiting == [b"nothing-there", b"something"]
    await connection.close()


async def test_when_the_loop_was_held_up_redis_is_given_a_moment_more(own: Redis) -> None:
    """If the machine was held up, so was Redis: its reply is still to come."""
    connection = await connected(own, [], timeout=0.5)
    assert await connection.ask("PING") == b"PONG"
    own.process.signal(signal.SIGSTOP)
    asked = connection.ask("ECHO", "here", hurried=True)
    await gone_out()
    time.sleep(0.5)  # noqa: ASYNC251 - holds up the event loop
    await iterations(3)  # the timer finds the reply overdue
    own.process.signal(signal.SIGCONT)
    assert await asked == b"here"
    await connection.close()


async def test_redis_ends_a_connection(own: Redis) -> None:
    lost: list[Unavailable] = []
    connection = await connected(own, lost)
    own.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await until(lambda: lost)
    assert "the connection was lost" in str(lost[0])
    await connection.close()


def test_the_identity_of_a_master_is_in_its_info() -> None:
    assert identity(b"role:master\r\nmaster_replid:abc\r\n") == b"abc"
    assert identity(b"role:slave\r\nmaster_replid:abc\r\n") is None
    assert identity(Unavailable("gone")) is None
    assert fields(b"# Server\r\n\r\nname:a:b\r\n") == {b"name": b"a:b"}


def test_it_runs_on_the_loop_that_serves(shared: Redis) -> None:
    async def go() -> None:
        cache = RedisCache(
            RedisAddress.parse(shared.fresh()),
            max_age=60,
            timeout=5,
            patience=5,
            lease_time=15,
            metrics=Metrics(),
        )
        await keep(cache)
        assert await asyncio.gather(*(cache.get(RECORD.guid, NOW) for _ in range(300)))
        assert cache.counts.hits == 300
        await cache.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(go())


def certificate(folder: Path) -> list[str]:
    """Makes a key and a certificate; returns Redis' flags for them."""
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*command, "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=60
    )
    return ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert]


async def test_redis_is_asked_over_tls(tmp_path: Path, shared: Redis, open_at: Opener) -> None:
    port = free_port()
    flags = [*certificate(tmp_path), "--tls-port", str(port)]
    with redis.started(tmp_path, flags=flags):
        files = f"ssl_ca_certs={tmp_path}/cert.pem"
        own = f"ssl_certfile={tmp_path}/cert.pem&ssl_keyfile={tmp_path}/key.pem"
        cache = open_at(f"rediss://localhost:{port}?{files}&{own}")
        await keep(cache)
        assert await held(cache) == RECORD
        without: dict[str, Any] = {"pauses": lambda _: 3600.0}
        for url in (f"rediss://127.0.0.1:{port}?{files}&{own}", f"rediss://localhost:{port}"):
            doubted = open_at(url, **without)
            with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
                await doubted.ping()
