"""What callers hear when the server is dead, hangs, hangs up, or comes back."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bson import encode
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WriteError,
    WTimeoutError,
)
from structlog.testing import capture_logs

from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.record import Query
from guidkeep.stores.mongodb import store as mongodb
from guidkeep.stores.mongodb.failures import failure_of
from guidkeep.stores.remote.failures import Failure, InDoubt, NotSent, Refused, write_error
from tests.stores.mongodb.conftest import opened, raw
from tests.stores.records import NOW, batches_of, guid_of, make_record, newer
from tests.support import once_it_answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.stores.mongodb.store import MongoDBStore
    from servers.mongodb import MongoDB
    from tests.stores.mongodb.conftest import Cutter


async def test_a_dead_server_is_unavailable_and_writes_say_that_nothing_happened(
    server: MongoDB,
) -> None:
    async with opened(server.fresh(), timeout=1.0) as store:
        server.process.kill()
        for _ in range(2):  # the first may still find a connection
            with pytest.raises(StoreUnavailable):
                await store.ping()
        for work in (
            store.insert(make_record()),
            store.replace(make_record(), 1),
            store.delete(guid_of(1), 1),
            store.purge(NOW, 10),
        ):
            with pytest.raises(StoreUnavailable) as refused:
                await work
            assert not isinstance(refused.value, OutcomeUnknown)
        with pytest.raises(StoreUnavailable):
            await store.page(Query(), NOW)


async def test_a_server_that_hangs_leaves_writes_unknown_and_answers_again_when_it_goes_on(
    server: MongoDB,
) -> None:
    async with opened(server.fresh(), timeout=1.0) as store:
        old = make_record(1)
        await store.insert(old)
        server.process.signal(signal.SIGSTOP)
        for work in (store.insert(make_record(2)), store.replace(newer(old), 1)):
            with pytest.raises(OutcomeUnknown) as unknown:
                await work
            assert unknown.value.settled is None
        with pytest.raises(StoreUnavailable):
            await store.get(old.guid)
        server.process.signal(signal.SIGCONT)
        await once_it_answers(store.ping)
        assert await store.get(old.guid) in (old, newer(old))
        assert await store.get(guid_of(2)) in (None, make_record(2))
        assert await store.insert(make_record(3))


async def test_what_waits_too_long_behind_a_server_that_hangs_was_not_written(
    server: MongoDB,
) -> None:
    async with opened(server.fresh(), timeout=1.0) as store:
        server.process.signal(signal.SIGSTOP)
        deleting = [store.delete(guid_of(number), 1) for number in range(100)]
        found = await asyncio.gather(*deleting, return_exceptions=True)
        server.process.signal(signal.SIGCONT)
    assert all(isinstance(error, StoreUnavailable) for error in found)
    late = [error for error in found if not isinstance(error, OutcomeUnknown)]
    assert len(late) >= 100 - mongodb.CHANGES_AT_ONCE
    assert str(late[-1]).endswith("nothing was done.")


async def test_a_server_that_was_killed_and_started_again_has_what_was_answered(
    server: MongoDB,
) -> None:
    async with opened(server.fresh()) as store:
        records = [make_record(number) for number in range(20)]
        await asyncio.gather(*(store.insert(record) for record in records))
        await store.delete(guid_of(0), 1)
        server.process.kill()
        server.start()
        await once_it_answers(store.ping)
        assert await store.page(Query(), NOW) == records[1:]
        assert await store.replace(newer(records[1]), 1)


async def test_a_write_whose_answer_is_lost_is_unknown_though_it_happened(cutter: Cutter) -> None:
    async with opened(cutter.url) as store:
        cutter.command = b"insert"
        with pytest.raises(OutcomeUnknown):
            await store.insert(make_record(1))
        assert await store.get(guid_of(1)) == make_record(1)
        cutter.command = b"update"
        with pytest.raises(OutcomeUnknown):
            await store.replace(newer(make_record(1)), 1)
        assert await store.get(guid_of(1)) == newer(make_record(1))
        cutter.command = b"delete"
        with pytest.raises(OutcomeUnknown):
            await store.delete(guid_of(1), 2)
        assert await store.get(guid_of(1)) is None


async def test_a_purge_whose_answer_is_lost_is_unknown(cutter: Cutter) -> None:
    async with opened(cutter.url) as store:
        await store.insert(make_record(expire=NOW))
        cutter.command = b"delete"
        with pytest.raises(OutcomeUnknown):
            await store.purge(NOW, 10)


async def test_a_read_whose_connection_breaks_each_time_is_unavailable(cutter: Cutter) -> None:
    async with opened(cutter.url, timeout=1.0) as store:
        cutter.command = b"find"
        reading = asyncio.ensure_future(store.get(guid_of(1)))
        with pytest.raises(StoreUnavailable, match="can't be read"):
            await reading


async def test_of_a_cancelled_write_its_caller_hears_when_the_outcome_is_certain(
    server: MongoDB,
) -> None:
    async with opened(server.fresh()) as store:
        server.process.signal(signal.SIGSTOP)
        writing = asyncio.ensure_future(store.insert(make_record()))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.sleep(0)
        assert not writing.done()
        server.process.signal(signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert await store.get(guid_of(1)) == make_record()


async def test_what_arrives_together_travels_together(new_url: Callable[[], str]) -> None:
    metrics = Metrics()
    async with opened(new_url(), metrics=metrics) as store:
        records = [make_record(number) for number in range(40)]
        assert all(await asyncio.gather(*(store.insert(record) for record in records)))
        assert await asyncio.gather(*(store.get(record.guid) for record in records)) == records
    assert batches_of(metrics, "write") == (1, 40)
    assert batches_of(metrics, "read") == (1, 40)


async def test_a_record_that_is_too_large_is_refused_and_spoils_no_others(
    store: MongoDBStore,
) -> None:
    large = make_record(1, metadata='{"pad":"%s"}' % ("é" * (mongodb.LARGEST // 2)))
    fits = make_record(2, metadata='{"pad":"%s"}' % ("x" * (mongodb.LARGEST // 2)))
    working = [store.insert(record) for record in (large, fits, make_record(3))]
    refused, *done = await asyncio.gather(*working, return_exceptions=True)
    assert isinstance(refused, StoreUnavailable)
    assert "16 MiB" in str(refused)
    assert done == [True, True]
    with pytest.raises(StoreUnavailable, match="16 MiB"):
        await store.replace(large, 1)
    assert await store.get(fits.guid) == fits


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_closing_leaves_no_task_and_no_connection(new_url: Callable[[], str]) -> None:
    tasks, files = asyncio.all_tasks(), open_files()
    async with opened(new_url()) as store:
        updating = [store.replace(make_record(number), 1) for number in range(50)]
        assert not any(await asyncio.gather(*updating))
    assert asyncio.all_tasks() == tasks
    assert open_files() == files


async def test_closing_does_not_wait_for_a_server_that_hangs(server: MongoDB) -> None:
    async with opened(server.fresh(), timeout=1.0) as store:
        await store.ping()
        server.process.signal(signal.SIGSTOP)


LABELLED = {"errorLabels": ["NoWritesPerformed"]}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ServerSelectionTimeoutError("no server"), NotSent),
        (OperationFailure("not authorized", 13), Refused),
        (OperationFailure("who are you", 18), Refused),
        (WriteError("the document fails validation", 121), Refused),
        (NotPrimaryError("not primary", LABELLED), Refused),
        (OperationFailure("shutting down", 91, LABELLED), Refused),
        (WriteConcernError("waiting for replication timed out", 64), InDoubt),
        (WTimeoutError("waiting for replication timed out", 64), InDoubt),
        (AutoReconnect("connection closed"), InDoubt),
        (NetworkTimeout("timed out"), InDoubt),
        (NotPrimaryError("stepped down in between"), InDoubt),
        (ExecutionTimeout("operation exceeded time limit", 50), InDoubt),
        (OperationFailure("internal error", 1), InDoubt),
    ],
)
def test_an_error_says_whether_the_write_may_have_happened(
    error: PyMongoError, kind: type[Failure]
) -> None:
    assert type(failure_of(error)) is kind


def test_each_document_of_an_insert_has_an_outcome_of_its_own() -> None:
    """As MongoDB's own server may answer; FerretDB knows duplicates only."""
    faults = [{"index": 1, "code": 11000}, {"index": 2, "code": 121}]
    found = mongodb._each({"writeErrors": faults, "writeConcernErrors": []}, 4)
    assert found[0] is found[3] is True
    assert found[1] is False
    assert isinstance(found[2], StoreUnavailable)
    assert not isinstance(found[2], OutcomeUnknown)
    concerns = [{"code": 64, "errmsg": "waiting for replication timed out"}]
    found = mongodb._each({"writeErrors": faults, "writeConcernErrors": concerns}, 4)
    assert isinstance(found[0], OutcomeUnknown)
    assert isinstance(found[3], OutcomeUnknown)
    assert found[1] is False
    assert not isinstance(found[2], OutcomeUnknown)


async def test_numbers_are_stored_as_64_bit_integers_and_guids_as_16_bytes(
    new_url: Callable[[], str],
) -> None:
    url = new_url()
    async with opened(url) as store, raw(url) as database:
        await store.insert(make_record(1))
        found = await database["record"].find_one()
        assert found == {
            "_id": bytes(15) + b"\1",
            "expire": NOW + 100,
            "version": 1,
            "user": "Ann",
            "metadata": '{"user": "Ann"}',
        }
        assert b"\x12expire\0" in encode(found)  # 0x12: a 64-bit integer
        assert b"\x12version\0" in encode(found)


async def test_a_count_whose_answer_is_lost_says_so(cutter: Cutter) -> None:
    async with opened(cutter.url) as store:
        await store.insert(make_record())
        cutter.command = b"aggregate"
        with pytest.raises(StoreUnavailable):
            await store.count(0, NOW + 1000, 10)
        cutter.command = b""
        assert (await store.count(0, NOW + 1000, 10)).records == 1


QUOTING = {
    "index": 0,
    "code": 11000,
    "codeName": "DuplicateKey",
    "errmsg": 'E11000 duplicate key error dup key: { user: "secret" }',
    "keyValue": {"user": "secret"},
    "errInfo": {"details": {"consideredValue": "secret"}},
}
"""As MongoDB's own server quotes a document in its answers."""


@pytest.mark.parametrize(
    "error",
    [
        WriteError(str(QUOTING["errmsg"]), 11000, QUOTING),
        OperationFailure(str(QUOTING["errmsg"]), 121, QUOTING),
        BulkWriteError({"writeErrors": [QUOTING | {"op": {"metadata": "secret"}}]}),
        WriteConcernError(str(QUOTING["errmsg"]), 64, QUOTING),
    ],
)
def test_what_the_server_quotes_of_a_document_is_not_logged(error: PyMongoError) -> None:
    with capture_logs() as logs:
        write_error(failure_of(error))
    [event] = logs
    assert type(error).__name__ in event["error"]
    assert "secret" not in repr(logs)


def test_what_the_server_quotes_of_some_inserts_is_not_logged() -> None:
    faults = [QUOTING | {"code": 121, "op": {"metadata": "secret"}}]
    with capture_logs() as logs:
        mongodb._each({"writeErrors": faults, "writeConcernErrors": [QUOTING]}, 1)
    assert logs == [
        {
            "event": "store failed",
            "log_level": "error",
            "codes": [121],
            "write_concern_errors": [11000],
        }
    ]
