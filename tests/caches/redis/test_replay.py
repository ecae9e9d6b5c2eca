"""An unsettled GUID is dropped before its entry is trusted again, and is then forgotten."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs

from guidkeep.caches import Lease, watch_cache
from guidkeep.caches.entries import entry_of, render
from guidkeep.caches.redis import cache as redis_cache
from guidkeep.metrics import Metrics
from guidkeep.testing.looks import look
from servers.processes import free_port
from tests.caches.redis.conftest import (
    NEVER,
    NEWER,
    NOW,
    OTHER,
    RECORD,
    SOON,
    find,
    gone_out,
    held,
    keep,
    lose,
    reader,
    server_of,
    until_a_reader_may_fill,
)
from tests.support import GUID, Clock, iterations, metric, until

if TYPE_CHECKING:
    from servers.redis import Redis
    from tests.caches.redis.conftest import Opener


async def test_a_look_finds_no_entry_of_an_unsettled_guid(own: Redis, open_at: Opener) -> None:
    cache = open_at(own.url)
    await keep(cache)
    await keep(cache, replace(RECORD, guid=OTHER))
    cache._unsettled.remember(GUID)
    assert not cache.peek(GUID, NOW, print)
    assert await look(cache, guid=OTHER)
    await cache.replay()
    assert await look(cache) is None, "it was dropped"
    await keep(cache)
    assert await look(cache) == render(entry_of(RECORD))


async def test_guids_written_during_an_outage_are_dropped_when_it_is_over(
    own: Redis, open_at: Opener
) -> None:
    cut_off, other = open_at(own.url, timeout=SOON), open_at(own.url)
    await keep(other)
    with capture_logs() as logs:
        own.process.signal(signal.SIGSTOP)
        await lose(cut_off)
        await cut_off.settle(await cut_off.lease(GUID), NEWER, NOW)
        own.process.signal(signal.SIGCONT)
        assert await held(other) == RECORD  # for max_age at most, as promised
        assert await cut_off.get(GUID, NOW) is None
        await find(cut_off)
        assert await held(cut_off) is None
        await until(lambda: cut_off.counts.unsettled == 0)
        assert await held(other) is None
        await keep(other, NEWER)
        assert await held(cut_off) == NEWER
        await until(lambda: len(logs) == 2)
    lost, back = logs
    assert (lost["event"], lost["server"]) == ("cache lost", f"127.0.0.1:{own.port}")
    assert (back["event"], back["replayed"], back["unsettled"]) == ("cache back", 1, 0)


async def test_an_outage_in_which_nothing_was_written_leaves_nothing_to_do(
    own: Redis, open_at: Opener
) -> None:
    cache = open_at(own.url, timeout=SOON)
    own.process.signal(signal.SIGSTOP)
    with capture_logs() as logs:
        await lose(cache)
        own.process.signal(signal.SIGCONT)
        await find(cache)
        await until(lambda: len(logs) == 2)
    assert logs[1]["replayed"] == 0


async def test_a_failed_probe_is_followed_by_another(own: Redis, open_at: Opener) -> None:
    pauses = []

    def pause(probes: int) -> float:
        pauses.append(probes)
        return 0.01

    cache = open_at(own.url, timeout=SOON, pauses=pause)
    own.process.signal(signal.SIGSTOP)
    await lose(cache)
    await until(lambda: pauses[:3] == [0, 1, 2])
    own.process.signal(signal.SIGCONT)
    await until(lambda: not server_of(cache).breaker.is_open)
    assert await held(cache) is None


async def test_an_unsettled_guid_is_not_asked_for_and_others_are(
    shared: Redis, open_at: Opener
) -> None:
    cache = open_at(shared.fresh())
    await keep(cache)
    lease = await reader(cache, OTHER)
    cache._remember(GUID)
    assert await cache.get(GUID, NOW) is None
    cache._remember(OTHER)
    await cache.fill(lease, RECORD, NOW)  # only gives the lease back
    await until(lambda: cache.counts.unsettled == 0)
    assert await held(cache) is None
    assert await held(cache, OTHER) is None


async def test_beyond_its_limit_a_node_believes_nothing_for_a_while(
    shared: Redis, open_at: Opener
) -> None:
    clock = Clock(0)
    cache = open_at(shared.fresh(), limit=1, clock=clock)
    await keep(cache)
    cache._remember(OTHER)
    cache._remember("F" * 32)
    await until(lambda: cache.counts.unsettled == 0)
    assert await cache.get(GUID, NOW) is None
    clock.advance(75)
    assert await cache.get(GUID, NOW) == RECORD
    await cache.replay()
    assert not cache._unsettled


async def test_failures_whose_entries_have_ended_are_forgotten_though_redis_is_not_back(
    own: Redis, open_at: Opener
) -> None:
    clock = Clock(0)
    cache = open_at(own.url, clock=clock)
    own.process.kill()
    await lose(cache)
    await cache.settle(await cache.lease(GUID), None, NOW)
    clock.advance(74)
    assert await cache.replay() == 0
    assert cache.counts.unsettled == 1
    clock.advance(1)
    await cache.replay()
    await until(lambda: not cache._unsettled)


async def test_a_great_many_are_dropped_in_batches(
    shared: Redis, open_at: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cache, "BATCH", 3)
    cache = open_at(shared.fresh())
    for at in range(10):
        cache._remember(f"{at:032X}")
    assert await cache.replay() == 10
    assert cache.counts.unsettled == 0


async def test_the_keeper_tries_again_after_a_while(
    own: Redis, open_at: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The breaker does not open, and there are no calls."""
    monkeypatch.setattr(redis_cache, "REPLAY_PAUSE", 0.02)
    cache = open_at(own.url, timeout=SOON)
    await keep(cache)
    own.process.signal(signal.SIGSTOP)
    await cache.settle(await cache.lease(GUID), None, NOW)
    assert cache.counts.unsettled == 1
    own.process.signal(signal.SIGCONT)
    if server_of(cache).breaker.is_open:
        await find(cache)
    await until(lambda: cache.counts.unsettled == 0)


async def test_while_redis_is_away_a_write_does_not_make_the_node_go_through_all_it_remembers(
    open_at: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cache, "REPLAY_PAUSE", NEVER)
    cache = open_at(f"redis://127.0.0.1:{free_port()}")
    await lose(cache)
    replay, redrop = Mock(wraps=cache.replay), Mock(wraps=cache._redrop)
    monkeypatch.setattr(cache, "replay", replay)
    monkeypatch.setattr(cache, "_redrop", redrop)
    for at in range(10):
        await cache.settle(await cache.lease(f"{at:032X}"), None, NOW)
        await iterations()  # enough for the keeper
    replay.assert_called_once()  # when the keeper begins
    redrop.assert_not_called()
    assert cache.counts.unsettled == 10


async def test_failures_are_counted(own: Redis, open_at: Opener) -> None:
    metrics = Metrics()
    cache = open_at(own.url, timeout=SOON, metrics=metrics)
    watch_cache(cache, metrics)
    await keep(cache)
    own.process.signal(signal.SIGSTOP)
    await lose(cache)
    await cache.lease(GUID)
    server_of(cache).probe()
    await until(lambda: metric(metrics, "guidkeep_cache_failures", "connect") == [1])
    assert metric(metrics, "guidkeep_cache_failures", "lost") == [1]
    assert metric(metrics, "guidkeep_cache_unreachable") == [1]
    assert metric(metrics, "guidkeep_cache_unsettled") == [1]
    assert sum(metric(metrics, "guidkeep_batch_size", "cache")) > 0


# Callers that are cancelled.


async def cancelled(own: Redis, call: asyncio.Future[object]) -> None:
    """Cancels the call while Redis has it; its outcome is certain when that arrives."""
    await asyncio.sleep(0)  # the call begins
    await gone_out()
    call.cancel()
    await asyncio.sleep(0)
    assert not call.done()
    own.process.signal(signal.SIGCONT)
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_lease_that_a_cancelled_reader_got_is_given_back(
    own: Redis, open_at: Opener
) -> None:
    cache = open_at(own.url)
    await cache.ping()
    own.process.signal(signal.SIGSTOP)
    await cancelled(own, asyncio.ensure_future(cache.get(GUID, NOW)))
    await until_a_reader_may_fill(cache)


async def test_a_lease_that_a_cancelled_writer_got_is_given_back(
    own: Redis, open_at: Opener
) -> None:
    cache = open_at(own.url)
    await keep(cache)
    own.process.signal(signal.SIGSTOP)
    await cancelled(own, asyncio.ensure_future(cache.lease(GUID)))
    await until_a_reader_may_fill(cache)


async def test_a_cancelled_settling_is_made_sure_of(own: Redis, open_at: Opener) -> None:
    cache = open_at(own.url)
    lease = await cache.lease(GUID)
    own.process.signal(signal.SIGSTOP)
    await cancelled(own, asyncio.ensure_future(cache.settle(lease, RECORD, NOW)))
    assert cache.counts.unsettled == 1
    await until(lambda: cache.counts.unsettled == 0)
    assert await held(cache) is None


async def test_closing_waits_for_leases_being_given_back(own: Redis, open_at: Opener) -> None:
    cache, other = open_at(own.url), open_at(own.url)
    await cache.ping()
    own.process.signal(signal.SIGSTOP)
    await cancelled(own, asyncio.ensure_future(cache.lease(GUID)))
    await cache.close()
    await reader(other)
    await cache.settle(Lease(GUID, 1), None, NOW)  # too late: nothing will drop it
    assert cache.counts.unsettled == 1
