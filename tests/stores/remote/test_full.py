"""The pool on a server that accepts no more connections."""

from __future__ import annotations

import asyncio

import pytest

from guidkeep.stores.remote import pool as pools
from guidkeep.stores.remote.failures import NotSent, Unreached
from guidkeep.stores.remote.pool import Pool
from guidkeep.system.backoff import Backoff
from tests.stores.remote.scripted import FULL, SOON, Server, in_time
from tests.support import iterations


async def test_a_full_server_is_used_through_the_open_connections(
    pool: Pool[str, str], server: Server
) -> None:
    gate = asyncio.Event()
    server.acts, server.connects = [gate], [None, FULL, FULL]
    held = asyncio.create_task(pool.run("a", in_time()))
    await iterations(3)
    waiting = asyncio.create_task(pool.run("b", in_time()))
    await iterations(3)
    gate.set()
    assert await held == "a on 0"
    assert await waiting == "b on 0"


async def test_a_full_server_without_an_open_connection_is_unreachable(
    pool: Pool[str, str], server: Server
) -> None:
    server.connects = [FULL]
    with pytest.raises(Unreached):
        await pool.run("a", in_time())


@pytest.mark.parametrize("is_full", [False, True])
async def test_a_statement_that_gets_no_connection_in_time_was_not_sent(
    server: Server, is_full: bool
) -> None:
    pool = Pool(server, size=2 if is_full else 1, timeout=SOON)
    gate = asyncio.Event()
    server.acts, server.connects = [gate], [None, FULL]
    held = asyncio.create_task(pool.run("a", in_time()))
    await iterations(3)
    with pytest.raises(NotSent, match="no connection was free in time"):
        await pool.run("b", in_time(0.01))
    gate.set()
    await held
    assert await pool.run("c", in_time()) == "c on 0"


async def test_a_statement_that_waits_at_a_full_server_connects_when_the_back_off_is_over(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "RECONNECT", Backoff(0.01, 0.01))
    gate = asyncio.Event()
    server.acts, server.connects = [gate], [None, FULL, FULL]
    held = asyncio.create_task(pool.run("a", in_time()))
    await iterations(3)
    assert await pool.run("b", in_time()) == "b on 1"
    assert server.attempts == 4
    gate.set()
    await held


async def test_a_statement_that_waits_at_a_full_server_outlives_the_last_open_connection(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "RECONNECT", Backoff(0.01, 0.01))
    gate = asyncio.Event()
    server.acts, server.connects = [gate], [None, FULL, FULL]
    held = asyncio.create_task(pool.run("a", in_time()))
    await iterations(3)
    waiting = asyncio.create_task(pool.run("b", in_time()))
    await iterations(3)
    held.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held
    assert await waiting == "b on 1"


async def test_a_connection_goes_to_the_statement_that_waits_and_not_to_one_that_comes_later(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "RECONNECT", Backoff(SOON, SOON))
    gate = asyncio.Event()
    server.acts, server.connects = [gate], [None, FULL]

    async def back_to_back() -> None:
        for name in ("a", "later"):
            await pool.run(name, in_time())

    busy = asyncio.create_task(back_to_back())
    await iterations(3)
    waiting = asyncio.create_task(pool.run("waits", in_time()))
    await iterations(3)
    gate.set()
    await asyncio.gather(busy, waiting)
    assert server.done == ["a", "waits", "later"]


async def test_a_connection_that_is_handed_to_a_cancelled_statement_is_not_lost(
    pool: Pool[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "RECONNECT", Backoff(SOON, SOON))
    gate = asyncio.Event()
    server.acts, server.connects = [gate], [None, FULL]
    held = asyncio.create_task(pool.run("a", in_time()))
    await iterations(3)
    for handed in (False, True):
        waiting = asyncio.create_task(pool.run("b", in_time()))
        await iterations(3)
        if handed:
            gate.set()
            await held
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert server.done == ["a"]
    assert await pool.run("c", in_time()) == "c on 0"
