"""A batch of writes is one transaction whose outcome is computed in advance. It must be equal to
the outcome of the single writes, in the order of their arrival, purges last."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from guidkeep.metrics import Metrics
from guidkeep.stores.sqlite.store import SQLiteStore
from tests.stores.records import NOW, guid_of, make_record

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import pytest

    from guidkeep.record import Record


class Write(NamedTuple):
    kind: str
    number: int
    life: int
    version: int
    """The expected version."""
    written: int
    """The new version."""

    @property
    def record(self) -> Record:
        expire = NOW + self.life
        user = f"{self.kind} {self.written}"
        return make_record(self.number, user=user, expire=expire, version=self.written)

    def expected(self, kept: dict[str, Record]) -> int:
        """Returns the write's result, and applies it to the stored records."""
        if self.kind == "purge":
            gone = [guid for guid, record in kept.items() if record.expire <= NOW]
            return len([kept.pop(guid) for guid in gone])
        there = kept.get(self.record.guid)
        if self.kind == "insert":
            done = there is None
        else:
            done = there is not None and there.version == self.version
        if done and self.kind == "delete":
            del kept[self.record.guid]
        elif done:
            kept[self.record.guid] = self.record
        return done

    def do(self, store: SQLiteStore) -> Awaitable[int]:
        if self.kind == "insert":
            return store.insert(self.record)
        if self.kind == "replace":
            return store.replace(self.record, self.version)
        if self.kind == "delete":
            return store.delete(self.record.guid, self.version)
        return store.purge(NOW, 100)


kinds = st.sampled_from(["insert", "replace", "delete", "purge"])
writes = st.builds(
    Write, kinds, st.integers(0, 2), st.integers(-2, 2), st.integers(0, 3), st.integers(0, 3)
)


async def check(url: str, batches: list[list[Write]]) -> None:
    kept: dict[str, Record] = {}
    store = await SQLiteStore.open(url, timeout=5, metrics=Metrics())
    try:
        for batch in batches:
            done = await asyncio.gather(*(write.do(store) for write in batch))
            order = sorted(range(len(batch)), key=lambda at: batch[at].kind == "purge")
            expected = {at: batch[at].expected(kept) for at in order}
            assert done == [expected[at] for at in range(len(batch))]
            found = await asyncio.gather(*(store.get(guid_of(number)) for number in range(3)))
            assert found == [kept.get(guid_of(number)) for number in range(3)]
    finally:
        await store.close()


@given(batches=st.lists(st.lists(writes, max_size=20), max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_batch_does_what_its_writes_would_do_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Write]]
) -> None:
    path = tmp_path_factory.mktemp("batch") / "guidkeep.db"
    asyncio.run(check(f"sqlite:///{path}", batches))
