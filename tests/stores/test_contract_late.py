"""The promise of every store on a server when a driver does not end at its deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.batching import runners
from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.stores import open_store
from guidkeep.stores.remote.base import RemoteStore
from tests.engines import SINGLE
from tests.stores.records import guid_of, make_record

if TYPE_CHECKING:
    from tests.engines import Engines


@pytest.mark.parametrize("name", SINGLE)
async def test_a_write_that_never_ends_is_in_doubt_and_a_read_fails(
    name: str, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = asyncio.Event()
    made = RemoteStore._batcher

    def hung(self: Any, kind: str, run: Any, error_of: Any, share: Any) -> Any:
        async def run_later(items: Any, _: float) -> Any:
            await released.wait()
            return await run(items, asyncio.get_running_loop().time() + 60)

        return made(self, kind, run_later, error_of, share)

    monkeypatch.setattr(RemoteStore, "_batcher", hung)
    monkeypatch.setattr(runners, "GRACE_SECONDS", 0.0)
    store = await open_store(engines.get(name).fresh(), timeout=1.0, metrics=Metrics())
    try:
        with pytest.raises(OutcomeUnknown) as caught:
            await store.insert(make_record(1))
        assert caught.value.settled is None  # so the registry raises a fence
        with pytest.raises(StoreUnavailable) as failed:
            await store.get(guid_of(1))
        assert not isinstance(failed.value, OutcomeUnknown)
    finally:
        released.set()
        await store.close()
