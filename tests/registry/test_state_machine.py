"""The registry over the real store and the real cache does what a dictionary does.

The cache has room for two entries, so most of them are evicted all the time; time goes on,
stands still and jumps back. Every result must equal that of the dictionary.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from guidkeep.caches.entries import parse
from guidkeep.caches.memory import MemoryCache
from guidkeep.errors import GuidkeepError, InvalidRequest, NotFound, PreconditionFailed
from guidkeep.http.conditions import Preconditions
from guidkeep.metrics import Metrics
from guidkeep.record import DEFAULT_LIFETIME, Change, Query, Record, parse_change
from guidkeep.registry.access import Written
from guidkeep.stores import open_store
from tests.jsontext.test_jsontext import rfc_7396
from tests.registry.steploop import StepLoop
from tests.support import Clock, make_registry

SWEEP_MARGIN = 60
GUIDS = [f"{at:032X}" for at in (1, 0xABCDEF, 2**128 - 1)]
guids = st.sampled_from(GUIDS)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "user": st.sampled_from(["Ann", "Ann", "Ann", "Bob", "Bob", "", None, 5]),
        "note": st.sampled_from([None, 1.5, "x" * 200, {"a": 1}, {"a": None, "b": 2}, [1]]),
    },
)
lives = st.sampled_from(["absent", None, 1, 30, 100, 1000])
"""The seconds that a record lives, or that `expire` is null or absent."""
conditions = st.sampled_from(
    ["none", "none", "is current", "is another", "is any", "is not current", "is not any"]
)


class Kept(NamedTuple):
    expire: int
    metadata: dict[str, Any]
    version: int

    @property
    def metadata_text(self) -> str:
        return json.dumps(self.metadata)


class RegistryMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = StepLoop()
        self.clock = Clock()
        self.latest = self.clock.now
        url = f"sqlite:///{Path(self.folder.name) / 'guidkeep.db'}"
        self.store = self.loop.run(open_store(url, timeout=5, metrics=Metrics()))
        self.cache = MemoryCache(max_size=1200, max_age=60)
        self.registry = make_registry(self.store, self.cache, self.clock)
        self.kept: dict[str, Kept] = {}

    def teardown(self) -> None:
        self.loop.run(self.registry.close())
        self.loop.run(self.store.close())
        self.loop.close()
        self.folder.cleanup()

    # The dictionary's side.

    def live(self, guid: str) -> Kept | None:
        kept = self.kept.get(guid)
        return kept if kept and self.clock.now < kept.expire else None

    def change(self, guid: str, body: dict[str, Any], life: Any) -> Change:
        expire = {} if life == "absent" else {"expire": life and str(int(self.clock.now) + life)}
        text = json.dumps({**expire, **body}).encode()
        return parse_change(text, now=int(self.clock.now), guid=guid)

    def condition(self, what: str, guid: str) -> tuple[Preconditions, bool]:
        """The condition, and whether it holds."""
        live = self.live(guid)
        mine, other = f'"{live.version if live else 0}"', '"1"'
        return {
            "none": (Preconditions(), True),
            "is current": (Preconditions(if_match=frozenset([mine, other])), live is not None),
            "is another": (Preconditions(if_match=frozenset([other])), False),
            "is any": (Preconditions(if_match=frozenset("*")), live is not None),
            "is not current": (Preconditions(if_none_match=frozenset([mine])), live is None),
            "is not any": (Preconditions(if_none_match=frozenset("*")), live is None),
        }[what]

    def check(
        self, outcome: object, guid: str, wanted: Kept | type[GuidkeepError]
    ) -> Record | None:
        """The outcome must be that record, its version aside, or that error."""
        if not isinstance(wanted, tuple):
            assert isinstance(outcome, wanted), outcome
            return None
        record = outcome.record if isinstance(outcome, Written) else outcome
        assert isinstance(record, Record), outcome
        assert (record.guid, record.expire) == (guid, wanted.expire)
        assert json.loads(record.metadata) == wanted.metadata
        return record

    def run(self, work: Any) -> object:
        try:
            return self.loop.run(work)
        except GuidkeepError as error:
            return error

    def wrote(
        self, outcome: object, guid: str, metadata: dict[str, Any], expire: int, holds: bool
    ) -> None:
        """A write that should have made that record, if its content and condition let it."""
        user = metadata.get("user")
        if not (isinstance(user, str) and user):
            self.check(outcome, guid, InvalidRequest)
            return
        if not holds:
            self.check(outcome, guid, PreconditionFailed)
            return
        before, stored = self.live(guid), self.kept.get(guid)
        record = self.check(outcome, guid, Kept(expire, metadata, 0))
        assert record
        if isinstance(outcome, Written):
            assert outcome.created == (before is None)
        if before and (before.expire, before.metadata_text) == (expire, json.dumps(metadata)):
            assert record.version == before.version  # nothing changed, the members' order included
        elif stored:
            assert record.version > stored.version
        self.kept[guid] = Kept(expire, metadata, record.version)

    # The operations.

    @rule(guid=guids, body=bodies, life=lives, when=conditions)
    def post(self, guid: str, body: dict[str, Any], life: Any, when: str) -> None:
        condition, holds = self.condition(when, guid)
        before = self.live(guid)
        change = self.change(guid, body, life)
        outcome = self.run(self.registry.create_or_update(change, condition))
        expire = change.expire or int(self.clock.now) + DEFAULT_LIFETIME
        if before and not change.sets_expire:
            expire = before.expire
        # A creation keeps the text as sent; an update merges it.
        metadata = rfc_7396(before.metadata, body) if before else body
        self.wrote(outcome, guid, metadata, expire, holds)

    @rule(guid=guids, body=bodies, life=lives, when=conditions)
    def put(self, guid: str, body: dict[str, Any], life: Any, when: str) -> None:
        condition, holds = self.condition(when, guid)
        change = self.change(guid, body, life)
        outcome = self.run(self.registry.replace(change, condition))
        expire = change.expire or int(self.clock.now) + DEFAULT_LIFETIME
        self.wrote(outcome, guid, body, expire, holds)

    @rule(guid=guids, body=bodies, life=lives, when=conditions)
    def patch(self, guid: str, body: dict[str, Any], life: Any, when: str) -> None:
        condition, holds = self.condition(when, guid)
        before = self.live(guid)
        change = self.change(guid, body, life)
        outcome = self.run(self.registry.update(guid, change, condition))
        if before is None:
            self.check(outcome, guid, NotFound)
            return
        expire = change.expire or int(self.clock.now) + DEFAULT_LIFETIME
        if not change.sets_expire:
            expire = before.expire
        self.wrote(outcome, guid, rfc_7396(before.metadata, body), expire, holds)

    @rule(guid=guids, when=conditions)
    def delete(self, guid: str, when: str) -> None:
        condition, holds = self.condition(when, guid)
        outcome = self.run(self.registry.delete(guid, condition))
        if self.live(guid) is None:
            self.check(outcome, guid, NotFound)
        elif not holds:
            self.check(outcome, guid, PreconditionFailed)
        else:
            assert outcome is None
            del self.kept[guid]

    @rule(guid=guids)
    def get(self, guid: str) -> None:
        live = self.live(guid)
        record = self.check(self.run(self.registry.read(guid)), guid, live or NotFound)
        assert record is None or live is None or record.version == live.version

    @rule(
        limit=st.integers(1, 4),
        after=st.none() | guids,
        user=st.sampled_from([None, "Ann", "Bob"]),
        before=st.sampled_from([None, 2, 50, 2000]),
    )
    def page(self, limit: int, after: str | None, user: str | None, before: int | None) -> None:
        until = before and int(self.clock.now) + before
        page = self.loop.run(self.registry.list(Query(limit, after, user, until)))
        wanted = [
            guid
            for guid, kept in sorted(self.kept.items())
            if self.live(guid)
            and (after is None or guid > after)
            and (user is None or kept.metadata["user"] == user)
            and (until is None or kept.expire < until)
        ]
        assert [record.guid for record in page.records] == wanted[:limit]
        assert page.more == (len(wanted) > limit)

    @rule(limit=st.integers(1, 5))
    def sweep(self, limit: int) -> None:
        before = int(self.clock.now) - SWEEP_MARGIN
        expired = {guid for guid, kept in self.kept.items() if kept.expire <= before}
        swept = self.loop.run(self.registry.sweep(limit, before))
        gone = {guid for guid in self.kept if self.loop.run(self.store.get(guid)) is None}
        assert gone <= expired
        assert swept == len(gone) == min(limit, len(expired))
        for guid in gone:
            del self.kept[guid]

    @rule(seconds=st.sampled_from([0.001, 1, 30, 60, 61, 1000, -1, -45, -90]))
    def time_goes_on_or_jumps_back(self, seconds: float) -> None:
        """Back by less than the sweep's margin: no deleted record may become live again."""
        self.latest = max(self.latest, self.clock.now)
        self.clock.now = max(self.clock.now + seconds, self.latest - SWEEP_MARGIN + 1)

    @precondition(lambda self: self.kept)
    @rule(data=st.data(), seconds=st.sampled_from([-0.001, 0, SWEEP_MARGIN]))
    def time_comes_to_an_expire(self, data: st.DataObject, seconds: float) -> None:
        guid = data.draw(st.sampled_from(sorted(self.kept)))
        if self.kept[guid].expire < self.clock.now + DEFAULT_LIFETIME / 2:
            self.clock.now = max(self.clock.now, self.kept[guid].expire + seconds)
            self.latest = max(self.latest, self.clock.now)

    @rule()
    def flush(self) -> None:
        self.cache.flush()

    @invariant()
    def a_hit_is_the_record_as_it_stands(self) -> None:
        for guid in GUIDS:
            answer = self.registry.hit(guid)
            if answer is not None:
                live = self.live(guid)
                record = self.check(parse(answer), guid, live or NotFound)
                assert record
                assert live
                assert record.version == live.version

    @invariant()
    def nothing_is_left_standing(self) -> None:
        assert not self.cache._standing
        assert not self.registry._loads
        assert self.cache.counts.bytes <= 1200


TestRegistry = RegistryMachine.TestCase
TestRegistry.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
