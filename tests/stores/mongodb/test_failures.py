"""The errors for callers when the server is dead, hangs, hangs up, or comes back."""

from __future__ import annotations

import asyncio
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
from guidkeep.stores.mongodb import store as mongodb
from guidkeep.stores.mongodb.failures import failure_of
from guidkeep.stores.remote.failures import Failure, InDoubt, NotSent, Refused, write_error
from tests.stores.mongodb.conftest import opened, raw
from tests.stores.records import NOW, batches_of, guid_of, make_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.stores.mongodb.store import MongoDBStore
    from tests.stores.mongodb.conftest import CommandCutter


async def test_a_purge_whose_answer_is_lost_is_unknown(cutter: CommandCutter) -> None:
    async with opened(cutter.url) as store:
        await store.insert(make_record(expire=NOW))
        cutter.command = b"delete"
        with pytest.raises(OutcomeUnknown):
            await store.purge(NOW, 10)


async def test_a_read_whose_connection_breaks_each_time_is_unavailable(
    cutter: CommandCutter,
) -> None:
    async with opened(cutter.url, timeout=1.0) as store:
        cutter.command = b"find"
        reading = asyncio.ensure_future(store.get(guid_of(1)))
        with pytest.raises(StoreUnavailable, match="can't be read"):
            await reading


async def test_operations_that_arrive_together_share_a_batch(new_url: Callable[[], str]) -> None:
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
        (WriteConcernError("stepped down", 189, LABELLED), InDoubt),
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
    """A response as MongoDB's own server may send it; FerretDB reports duplicates only."""
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


async def test_a_count_whose_answer_is_lost_says_so(cutter: CommandCutter) -> None:
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
"""A response of MongoDB's own server, which quotes a document."""


@pytest.mark.parametrize(
    "error",
    [
        WriteError(str(QUOTING["errmsg"]), 11000, QUOTING),
        OperationFailure(str(QUOTING["errmsg"]), 121, QUOTING),
        BulkWriteError({"writeErrors": [QUOTING | {"op": {"metadata": "secret"}}]}),
        WriteConcernError(str(QUOTING["errmsg"]), 64, QUOTING),
    ],
)
def test_a_document_that_the_server_quotes_is_not_logged(error: PyMongoError) -> None:
    with capture_logs() as logs:
        write_error(failure_of(error))
    [event] = logs
    assert type(error).__name__ in event["error"]
    assert "secret" not in repr(logs)


def test_inserted_documents_that_the_server_quotes_are_not_logged() -> None:
    faults = [QUOTING | {"code": 121, "op": {"metadata": "secret"}}]
    with capture_logs() as logs:
        mongodb._each({"writeErrors": faults, "writeConcernErrors": [QUOTING]}, 1)
    failed = {"event": "store failed", "log_level": "error"}
    assert logs == [
        failed | {"error": "WriteConcernError DuplicateKey", "code": "11000"},
        failed | {"error": "WriteError DuplicateKey", "code": "121"},
    ]


def test_a_code_that_several_documents_have_is_logged_once() -> None:
    faults = [{"index": 0, "code": 121}, {"index": 1, "code": 121}, {"index": 2, "code": 13}]
    with capture_logs() as logs:
        mongodb._each({"writeErrors": faults}, 3)
    assert [event["code"] for event in logs] == ["121", "13"]
