"""A store against a dictionary: after any operations in any order, both have the same records."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from guidkeep.record import Query, Record
from guidkeep.testing.opening import opener_of
from guidkeep.testing.records import NOW, guid_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.stores import Store

guids = st.integers(0, 5).map(guid_of)
users = st.sampled_from(["Ann", "Bob", "", "\0", "😀", None, 3])
lives = st.integers(-2, 4)
versions = st.integers(0, 3)
limits = st.integers(1, 4)


class Machine(RuleBasedStateMachine):
    """The base class for each kind of store."""

    new_url: ClassVar[Callable[[], str]]

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.records: dict[str, Record] = {}
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        opened = opener_of(type(self).new_url())()
        self.store: Store = self.do(self.stack.enter_async_context(opened))

    def do(self, work: Any) -> Any:
        async def awaited() -> Any:
            return await work

        return self.runner.run(awaited())

    def teardown(self) -> None:
        self.do(self.stack.aclose())
        self.runner.close()

    def made(self, guid: str, user: object, life: int, version: int) -> Record:
        return Record(guid, self.now + life, version, json.dumps({"user": user}))

    def found(self, query: Query) -> list[Record]:
        live = [record for record in self.records.values() if self.now < record.expire]
        return sorted(
            (
                record
                for record in live
                if (query.after is None or record.guid > query.after)
                and (query.user is None or record.user == query.user)
                and (query.expires_before is None or record.expire < query.expires_before)
            ),
            key=lambda record: record.guid,
        )[: query.limit]

    @rule(seconds=st.integers(-1, 3))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(guid=guids, user=users, life=lives, version=versions)
    def insert(self, guid: str, user: object, life: int, version: int) -> None:
        record = self.made(guid, user, life, version)
        there = self.records.get(guid)
        expected = there is None
        assert self.do(self.store.insert(record)) is expected
        if expected:
            self.records[guid] = record

    @rule(guid=guids, user=users, life=lives, version=versions, old=versions)
    def replace(self, guid: str, user: object, life: int, version: int, old: int) -> None:
        record = self.made(guid, user, life, version)
        there = self.records.get(guid)
        expected = there is not None and there.version == old
        assert self.do(self.store.replace(record, old)) is expected
        if expected:
            self.records[guid] = record

    @rule(guid=guids, old=versions)
    def delete(self, guid: str, old: int) -> None:
        there = self.records.get(guid)
        expected = there is not None and there.version == old
        assert self.do(self.store.delete(guid, old)) is expected
        if expected:
            del self.records[guid]

    @rule(limit=limits)
    def purge(self, limit: int) -> None:
        expired = {guid for guid, record in self.records.items() if record.expire <= self.now}
        assert self.do(self.store.purge(self.now, limit)) == min(limit, len(expired))
        gone = {guid for guid in self.records if self.do(self.store.get(guid)) is None}
        assert gone <= expired
        for guid in gone:
            del self.records[guid]

    @rule(
        limit=limits,
        after=st.none() | guids,
        user=st.sampled_from([None, "Ann", "", "\0", "😀"]),
        before=st.none() | lives,
    )
    def page(self, limit: int, after: str | None, user: str | None, before: int | None) -> None:
        query = Query(limit, after, user, None if before is None else self.now + before)
        assert self.do(self.store.page(query, self.now)) == self.found(query)

    @rule()
    def ping(self) -> None:
        self.do(self.store.ping())

    @invariant()
    def each_record_is_as_it_should_be(self) -> None:
        for guid in map(guid_of, range(6)):
            assert self.do(self.store.get(guid)) == self.records.get(guid)


def test_a_store_does_what_a_dictionary_would(new_url: Callable[[], str]) -> None:
    limits = settings(
        max_examples=20,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    machine = type("StoreMachine", (Machine,), {"new_url": staticmethod(new_url)})
    run_state_machine_as_test(machine, settings=limits)
