"""A write whose response was lost becomes certain before its lease is given back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock, call

import pytest
from structlog.testing import capture_logs

from guidkeep.caches.memory import MemoryCache
from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.registry import access, fencing
from guidkeep.system.backoff import Backoff
from tests.registry.memory_store import MemoryStore
from tests.registry.slow_store import NEW, OLD, SlowStore, assert_nothing_is_left
from tests.support import GUID, MARCH_2015, change, make_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from guidkeep.registry.registry import Registry

LOST = OutcomeUnknown("the answer was lost")
UNEXPECTED = ValueError("what came was no answer")
"""An error that no store should raise leaves the write in doubt."""


async def updating(kept: Registry, store: SlowStore, error: Exception = LOST) -> None:
    """Starts an update whose outcome stays in doubt."""
    write = asyncio.create_task(kept.update(GUID, change(now=MARCH_2015)))
    await store.let_go()
    await store.let_go(error)
    with pytest.raises(type(error)):
        await write


@pytest.mark.parametrize("error", [LOST, UNEXPECTED])
async def test_a_lost_write_can_not_land_once_its_lease_is_back(error: Exception) -> None:
    store = SlowStore(OLD)
    kept = make_registry(store)
    await updating(kept, store, error)
    store.slow = False
    assert await kept.read(GUID) == OLD
    assert kept.hit(GUID) is None, "the write may land yet"
    await store.let_go()
    await kept.close()
    assert_nothing_is_left(kept)
    fenced = await kept.read(GUID)
    assert (fenced.expire, fenced.metadata) == (OLD.expire, OLD.metadata)
    assert fenced.version > OLD.version
    assert not await MemoryStore.replace(store, NEW, OLD.version), "it lands now, and is refused"
    assert kept.hit(GUID)


async def test_a_lost_deletion_can_not_land_either() -> None:
    store = SlowStore(OLD)
    kept = make_registry(store)
    store.delete = _raiser(LOST)  # type: ignore[method-assign]  # as on a broken connection
    deletion = asyncio.create_task(kept.delete(GUID))
    await store.let_go()
    with pytest.raises(OutcomeUnknown):
        await deletion
    await store.let_go()
    await kept.close()
    assert not await MemoryStore.delete(store, GUID, OLD.version)


async def test_a_lost_write_that_has_happened_is_left_as_it_is() -> None:
    store = SlowStore(OLD)
    kept = make_registry(store)
    await updating(kept, store)
    store.records[GUID] = NEW
    await store.let_go()
    await kept.close()
    assert_nothing_is_left(kept)
    assert store.records[GUID] == NEW


async def test_while_the_store_is_away_the_lease_is_renewed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MemoryCache, "renew_after", 0.001)
    backoff = Mock(Backoff)
    backoff.seconds.return_value = 0.0
    monkeypatch.setattr(fencing, "BACKOFF", backoff)
    store = SlowStore(OLD)
    kept = make_registry(store)
    await updating(kept, store)
    [first] = writers(kept)
    with capture_logs() as logs:
        for away in (StoreUnavailable("down"), LOST, UNEXPECTED, StoreUnavailable("down")):
            await store.let_go(away)
    assert [(line["event"], line["guid"]) for line in logs] == [("fence failed", GUID)]
    while first in writers(kept):  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.001)
    assert len(writers(kept)) == 1
    assert backoff.seconds.mock_calls == [call(retry) for retry in range(4)]
    await store.let_go()
    await kept.close()
    assert_nothing_is_left(kept)


@pytest.mark.parametrize("error", [LOST, UNEXPECTED])
async def test_a_lost_creation_needs_no_fence(error: Exception) -> None:
    """It can only land where there is no record, and the cache never keeps absence."""
    store = SlowStore()
    kept = make_registry(store)
    store.insert = _raiser(error)  # type: ignore[method-assign]  # as on a broken connection
    creation = asyncio.create_task(kept.create_or_update(change(now=MARCH_2015)))
    await store.let_go()
    with pytest.raises(type(error)):
        await creation
    assert_nothing_is_left(kept)


async def test_a_write_that_has_certainly_not_happened_needs_no_fence() -> None:
    store = SlowStore(OLD)
    kept = make_registry(store)
    await updating(kept, store, StoreUnavailable("down"))
    assert_nothing_is_left(kept)


async def test_a_registry_that_closes_looks_now_and_then_at_who_does_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "CLOSE_PATIENCE", 0.0)
    monkeypatch.setattr(access, "CLOSE_REST", 0.001)
    wait = Mock(wraps=asyncio.wait)
    monkeypatch.setattr(asyncio, "wait", wait)
    kept = make_registry(SlowStore())
    kept._spawn(_ends_when_cancelled(times=3))
    await kept.close()
    assert [call.kwargs["timeout"] for call in wait.mock_calls] == 4 * [0.001]


async def test_a_registry_that_closes_leaves_the_lease_of_an_open_outcome_standing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "CLOSE_PATIENCE", 0.0)
    store = SlowStore(OLD)
    kept = make_registry(store)
    await updating(kept, store)
    await kept.close()
    assert len(writers(kept)) == 1
    assert not kept._tasks


def writers(kept: Registry) -> set[int]:
    """The standing leases of writers."""
    cache: MemoryCache = kept.cache  # type: ignore[assignment]  # it is one
    return set(cache._standing[GUID].writers)


def _raiser(error: Exception) -> Callable[..., Coroutine[Any, Any, bool]]:
    async def fail(*_: object) -> bool:
        raise error

    return fail


async def _ends_when_cancelled(*, times: int) -> None:
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
