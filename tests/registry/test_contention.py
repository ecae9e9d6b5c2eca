"""A write that always loses gives up without changing anything."""

from __future__ import annotations

import pytest

from guidkeep.errors import StoreUnavailable
from guidkeep.record import Record
from guidkeep.registry.access import MAX_ATTEMPTS
from tests.registry.memory_store import MemoryStore
from tests.support import GUID, MARCH_2015, change, make_registry


class Contested(MemoryStore):
    """A store in which another writer is always faster."""

    async def replace(self, record: Record, version: int) -> bool:
        stored = self.records[record.guid]
        self.records[record.guid] = Record(
            stored.guid, stored.expire, stored.version + 1, stored.metadata
        )
        return await super().replace(record, version)


async def test_a_write_that_always_loses_is_given_up_and_changes_nothing() -> None:
    store = Contested()
    registry = make_registry(store)
    await registry.create_or_update(change(now=MARCH_2015))
    with pytest.raises(StoreUnavailable, match="nothing was written"):
        await registry.update(GUID, change(body='{"user": "Bob"}', now=MARCH_2015))
    assert store.records[GUID].user == "Ann"
    assert store.gets == MAX_ATTEMPTS + 1  # and the one that found nothing to update
