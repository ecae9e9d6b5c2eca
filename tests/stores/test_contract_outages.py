"""The promises of every store on a server when the server fails.

The caller of a write gets one of three results: it was done, nothing was written, or the outcome is
unknown. The first two are always true.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.record import Query, Record
from guidkeep.testing.opening import opener_of
from tests.proxies import Cutter
from tests.stores.mongodb.conftest import no_socket_is_left
from tests.stores.records import NOW, guid_of, make_record, newer
from tests.support import once_it_answers, outcomes, until

if TYPE_CHECKING:
    from tests.stores.outage import Outage

__all__ = ["no_socket_is_left"]

MARK = "marked"
"""A text in the metadata of a write, by which a `MarkCutter` finds it."""


class MarkCutter(Cutter):
    """Breaks the connection of a marked write.

    Args:
        url: the store's URL.
        before: whether it breaks before the server has the write, or after the server has
            responded.
    """

    def __init__(self, url: str, *, before: bool) -> None:
        super().__init__(url)
        self._before = before

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        is_marked = asyncio.Event()
        ways = [
            asyncio.create_task(self._requests(reader, back, is_marked)),
            asyncio.create_task(self._responses(there, writer, is_marked)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _requests(
        self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, is_marked: asyncio.Event
    ) -> None:
        while piece := await reader.read(1 << 20):
            if MARK.encode() in piece or MARK.encode().hex().encode() in piece:
                if self._before:
                    return
                is_marked.set()
            back.write(piece)

    async def _responses(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, is_marked: asyncio.Event
    ) -> None:
        while piece := await there.read(1 << 20):
            if is_marked.is_set():
                return
            writer.write(piece)


# While it serves.


async def test_connections_that_broke_while_idle_are_replaced(outage: Outage) -> None:
    async with opener_of(outage.url)(timeout=20.0) as store:
        record = make_record(1)
        assert await store.insert(record)
        for _ in range(3):
            outage.proxy.cut()
            outage.proxy.heal()
            assert await once_it_answers(lambda: store.get(guid_of(1))) == record
            new = newer(record)
            assert await store.replace(new, record.version)
            record = new


async def test_each_write_has_the_outcome_that_its_caller_got_though_the_server_was_killed(
    outage: Outage,
) -> None:
    async with opener_of(outage.url)(timeout=5.0) as store:
        results: dict[int, bool | StoreUnavailable] = {}
        killed = asyncio.Event()

        async def write(number: int) -> None:
            while not killed.is_set():
                try:
                    results[number] = await store.insert(make_record(number))
                except StoreUnavailable as error:
                    results[number] = error
                number += 20

        writing = [asyncio.ensure_future(write(number)) for number in range(20)]
        await until(lambda: len(results) > 100)
        outage.server.process.kill()
        await until(lambda: any(isinstance(each, StoreUnavailable) for each in results.values()))
        killed.set()
        await asyncio.gather(*writing)
        await asyncio.to_thread(outage.server.start)
        await once_it_answers(store.ping)
        for number, outcome in results.items():
            found = await store.get(guid_of(number))
            if outcome is True:
                assert found == make_record(number), "it was said to be done"
            elif not isinstance(outcome, OutcomeUnknown):
                assert found is None, "it was said that nothing was written"
        assert await store.insert(make_record(10**6))


async def test_a_dead_server_is_unavailable_and_nothing_was_written(outage: Outage) -> None:
    async with opener_of(outage.url)(timeout=1.0) as store:
        assert await store.insert(make_record(1))
        outage.proxy.cut()
        with capture_logs() as logs:
            await outcomes(store.ping())  # the ping may still find a connection
            done = await outcomes(
                store.insert(make_record(2)),
                store.replace(newer(make_record(1)), 1),
                store.delete(guid_of(1), 1),
                store.purge(NOW, 10),
                store.get(guid_of(1)),
                store.page(Query(), NOW),
                store.skip(Query(), 1),
                store.count(0, NOW, 10),
                store.clock(),
            )
            assert {type(error) for error in done} == {StoreUnavailable}
            for refused in done[:4]:
                assert str(refused).endswith("nothing was written.")
            outage.proxy.heal()
            await once_it_answers(store.ping)
        assert await store.get(guid_of(1)) == make_record(1)
        assert await store.insert(make_record(2))
    if outage.name != "mongodb":  # its driver does not log that
        events = [line["event"] for line in logs]
        assert events.count("store unreachable") == events.count("store reachable again") == 1


async def test_a_server_that_hangs_leaves_sent_writes_open_and_is_used_when_it_goes_on(
    outage: Outage,
) -> None:
    async with opener_of(outage.url)(timeout=2.0) as store:
        old = make_record(1)
        assert await store.insert(old)
        await outcomes(*(store.replace(old, 99) for _ in range(5)), store.get(old.guid))
        outage.proxy.hold()
        done = await outcomes(
            store.insert(make_record(2)), store.replace(newer(old), 1), store.get(old.guid)
        )
        assert all(isinstance(error, StoreUnavailable) for error in done)
        assert not isinstance(done[2], OutcomeUnknown), "a read has no outcome"
        is_open = [isinstance(error, OutcomeUnknown) for error in done[:2]]
        assert any(is_open)
        assert all(error.settled is None for error in done[:2] if isinstance(error, OutcomeUnknown))
        late = await outcomes(store.get(old.guid), store.insert(make_record(3)))
        assert all(isinstance(error, StoreUnavailable) for error in late)
        outage.proxy.heal()
        await once_it_answers(store.ping)
        assert await store.get(guid_of(2)) in (None, *[make_record(2)] * is_open[0])
        assert await store.get(old.guid) in (old, *[newer(old)] * is_open[1])
        assert await once_it_answers(lambda: store.insert(make_record(4)))


async def test_a_large_batch_to_a_server_that_hangs_ends_and_holds_no_record(
    outage: Outage,
) -> None:
    """The server reads a part of it, and no proxy on the way takes the rest."""
    old = [make_record(number) for number in range(256)]
    new = [make_record(number, user="Ann" * 10_000, version=2) for number in range(256)]
    async with opener_of(outage.server.fresh())(timeout=2.0) as store:
        assert all(await asyncio.gather(*map(store.insert, old)))
        await outcomes(*(store.replace(record, 99) for record in old))  # prepares it
        outage.hang()
        try:
            done = await outcomes(*(store.replace(record, 1) for record in new))
        finally:
            outage.go_on()
        assert all(isinstance(error, StoreUnavailable) for error in done)
        await once_it_answers(store.ping)
        for number in (0, 128, 255):
            last = make_record(number, version=3)
            await once_it_answers(lambda last=last: store.replace(last, 1))  # type: ignore[misc]


async def test_a_write_that_waits_too_long_behind_a_server_that_hangs_was_not_written(
    outage: Outage,
) -> None:
    async with opener_of(f"{outage.url}?connections=1")(timeout=1.0) as store:
        await store.ping()
        outage.proxy.hold()
        done = await outcomes(
            *(store.insert(make_record(number)) for number in range(9)),
            *(store.delete(guid_of(number), 1) for number in range(100, 150)),
        )
        assert all(isinstance(error, StoreUnavailable) for error in done)
        refused = [at for at, error in enumerate(done) if not isinstance(error, OutcomeUnknown)]
        assert len(refused) >= 45
        outage.proxy.heal()
        await once_it_answers(store.ping)
        for at in refused:
            assert at >= 9 or await store.get(guid_of(at)) is None


async def test_each_record_is_prepared_by_its_caller_and_not_with_its_whole_batch(
    outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared_in = []
    user_of: Any = Record.user

    def user(record: Record) -> Any:
        prepared_in.append(asyncio.current_task())
        return user_of.fget(record)

    async with opener_of(outage.url)() as store:
        monkeypatch.setattr(Record, "user", property(user))
        writes = [asyncio.create_task(store.insert(make_record(at))) for at in range(9)]
        assert all(await asyncio.gather(*writes))
    assert prepared_in == writes


async def test_a_slow_server_is_waited_for(outage: Outage) -> None:
    async with opener_of(outage.url)(timeout=20.0) as store:
        outage.proxy.delay(0.02)
        assert await store.insert(make_record(1))
        assert await store.replace(newer(make_record(1)), 1)
        assert await store.get(guid_of(1)) == newer(make_record(1))


@pytest.mark.parametrize("before", [True, False], ids=["before it arrives", "after it is done"])
@pytest.mark.parametrize("kind", ["insert", "replace"])
async def test_a_write_whose_connection_breaks_is_unknown_whether_it_happened_or_not(
    outage: Outage, before: bool, kind: str
) -> None:
    async with (
        MarkCutter(outage.url, before=before).listening() as cutter,
        opener_of(cutter.url)(timeout=20.0) as store,
    ):
        assert await store.insert(make_record(1))
        assert await store.replace(newer(make_record(1)), 1)
        marked = make_record(2 if kind == "insert" else 1, user=MARK, version=3)
        with pytest.raises(OutcomeUnknown):
            await (store.insert(marked) if kind == "insert" else store.replace(marked, 2))
        found = await once_it_answers(lambda: store.get(marked.guid))
        former = None if kind == "insert" else newer(make_record(1))
        assert found == (former if before else marked)


async def test_a_cancelled_write_is_heard_of_when_its_outcome_is_certain(outage: Outage) -> None:
    async with opener_of(outage.url)(timeout=20.0) as store:
        await store.ping()
        outage.hang()
        try:
            writing = asyncio.ensure_future(store.insert(make_record()))
            await asyncio.sleep(0)
            writing.cancel()
            await asyncio.sleep(0.05)
            assert not writing.done()
        finally:
            outage.go_on()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert await store.get(guid_of(1)) == make_record()


# At the end.


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_closing_leaves_no_task_and_no_connection(outage: Outage) -> None:
    async with opener_of(outage.url)():
        pass  # the first call makes resolvers and threads, which stay
    tasks, files = asyncio.all_tasks(), open_files()
    async with opener_of(outage.url)() as store:
        done = await outcomes(
            *(store.insert(make_record(number)) for number in range(50)),
            *(store.replace(make_record(number), 9) for number in range(50)),
            store.page(Query(), NOW),
        )
        assert not [each for each in done if isinstance(each, Exception)]
    assert asyncio.all_tasks() == tasks
    await until(lambda: open_files() <= files)


async def test_closing_does_not_wait_for_a_server_that_hangs(outage: Outage) -> None:
    async with opener_of(outage.url)(timeout=1.0) as store:
        await store.ping()
        outage.proxy.hold()
