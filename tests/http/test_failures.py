"""Responses to faults of the service itself: 429, 500, 503."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import (
    GuidkeepError,
    OutcomeUnknown,
    StartupError,
    StoreUnavailable,
    UnknownAnswer,
    Unreachable,
)
from guidkeep.record import new_guid
from tests.http.faulty import faulty
from tests.http.helpers import Api, detail
from tests.support import app_of, make_registry, opened_store, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.http.faulty import FaultyStore
    from tests.support import Clock

SECRET = "password=hunter2 in /etc/guidkeep"  # noqa: S105 - must not appear in responses
WRITES = ["POST", "PUT", "PATCH"]
REQUESTS = [("GET", 0), ("HEAD", 0), ("POST", 1), ("PUT", 1), ("PATCH", 1), ("DELETE", 0)]


@asynccontextmanager
async def on(file: Path, clock: Clock, where: str, *, patience: float = 1.0) -> AsyncIterator[Api]:
    """A client of the application, or of a server, on that file, with a short store timeout."""
    if where == "server":
        with served(clock, store=f"sqlite:///{file}", store_timeout=patience) as running:
            async with Api(running.address) as api:
                yield api
        return
    async with opened_store(file, timeout=patience) as store:
        registry = make_registry(store, clock=clock)
        async with Api(app_of(registry)) as api:
            yield api
        await registry.close()


@pytest.fixture
async def planted(tmp_path: Path, clock: Clock) -> AsyncIterator[tuple[Api, FaultyStore]]:
    async with faulty(tmp_path / "guidkeep.db", clock, max_pending=2) as both:
        yield both


async def test_a_request_more_than_max_pending_is_answered_429(
    planted: tuple[Api, FaultyStore], guid: str
) -> None:
    api, store = planted
    await api.made(guid)
    other, third = new_guid(), new_guid()
    store.gate.clear()
    waiting = [asyncio.create_task(api.get(f"/guid/{one}")) for one in (other, third)]
    await store.wait_for(2)
    for method, has_body in REQUESTS:
        body = {"user": "Bea"} if has_body else None
        answer = await api.request(method, f"/guid/{guid}", json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    store.gate.set()
    assert [(await task).status_code for task in waiting] == [404, 404]
    assert (await api.get(f"/guid/{guid}")).json()["user"] == "Ann"


@pytest.mark.parametrize(("method", "has_body"), REQUESTS)
async def test_a_500_hides_the_inside_and_names_its_place_in_the_log(
    planted: tuple[Api, FaultyStore], guid: str, method: str, has_body: int
) -> None:
    api, store = planted
    store.fault = ZeroDivisionError(SECRET)
    body = {"user": "Ann"} if has_body else None
    with capture_logs() as logs:
        answer = await api.request(method, f"/guid/{guid}", json=body)
    assert answer.status_code == 500
    [entry] = [entry for entry in logs if entry["log_level"] == "error"]
    assert entry["exc_info"]
    assert entry["request_id"] == answer.headers["x-request-id"]
    if method != "HEAD":
        assert answer.json()["request_id"] == entry["request_id"]
    for inside in (SECRET, "ZeroDivision", "Traceback", ".py", "sqlite", "store"):
        assert inside not in answer.text
    store.fault = None
    assert (await api.get(f"/guid/{guid}")).status_code == 404


@pytest.mark.parametrize(
    "fault",
    [
        ZeroDivisionError(SECRET),
        GuidkeepError(SECRET),
        StartupError(SECRET),
        Unreachable(SECRET),
        UnknownAnswer(SECRET, 502),
    ],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize("path", ["/guid", "/readyz"])
async def test_an_error_without_a_row_of_its_own_shows_nothing_of_the_inside(
    planted: tuple[Api, FaultyStore], path: str, fault: Exception
) -> None:
    api, store = planted
    store.fault = fault
    with capture_logs() as logs:
        answer = await api.get(path)
    assert (answer.status_code, SECRET in answer.text) == (500, False)
    assert answer.json()["request_id"] in [entry.get("request_id") for entry in logs]


async def test_a_crowd_that_waits_for_one_failing_read_is_answered(
    tmp_path: Path, clock: Clock, guid: str
) -> None:
    async with faulty(tmp_path / "guidkeep.db", clock) as (api, store):
        for fault, status in (
            (ZeroDivisionError(SECRET), 500),
            (StoreUnavailable("Closed."), 503),
            (None, 404),
        ):
            store.fault = fault
            with capture_logs():
                async with asyncio.timeout(10):
                    answers = await asyncio.gather(*(api.get(f"/guid/{guid}") for _ in range(10)))
            assert {answer.status_code for answer in answers} == {status}


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [("abc-123", True), ("x" * 128, True), ("x" * 129, False), ("caf\xe9", False), ("", False)],
)
async def test_a_decent_request_id_of_the_client_is_kept(
    planted: tuple[Api, FaultyStore], guid: str, given: str, is_kept: bool
) -> None:
    api, store = planted
    store.fault = ZeroDivisionError(SECRET)
    with capture_logs() as logs:
        headers = {b"X-Request-ID": given.encode("latin-1")}
        answer = await api.get(f"/guid/{guid}", headers=headers)
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == logs[-1]["request_id"]
    assert (answer.json()["request_id"] == given) is is_kept
    assert answer.json()["request_id"]


async def test_a_503_says_when_to_try_again_and_that_nothing_was_written(
    planted: tuple[Api, FaultyStore], guid: str
) -> None:
    api, store = planted
    store.fault = StoreUnavailable("The store is busy; nothing was written.")
    with capture_logs() as logs:
        answer = await api.put(f"/guid/{guid}", json={"user": "Ann"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["type"].endswith(":store-unavailable")
    assert "nothing was written" in detail(answer)
    assert answer.json()["request_id"] == logs[-1]["request_id"]


async def test_a_503_says_when_the_outcome_is_unknown(
    planted: tuple[Api, FaultyStore], guid: str
) -> None:
    api, store = planted
    await api.made(guid)
    store.fault = OutcomeUnknown("Whether it was written is unknown. Read it again.")
    with capture_logs():
        answer = await api.patch(f"/guid/{guid}", json={"note": 1})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["type"].endswith(":outcome-unknown")
    assert "unknown" in detail(answer)


@pytest.mark.waits
@pytest.mark.parametrize("where", ["app", "server"])
async def test_while_another_program_holds_the_file_writes_answer_503_and_reads_go_on(
    tmp_path: Path, clock: Clock, guid: str, where: str
) -> None:
    file = tmp_path / "guidkeep.db"
    # SQLite waits for half of it; the other half is for a busy machine.
    async with on(file, clock, where, patience=3.0) as api:
        before = await api.made(guid)
        with closing(sqlite3.connect(file, isolation_level=None)) as other, capture_logs():
            other.execute("BEGIN IMMEDIATE")
            answers = await asyncio.gather(
                *(api.request(method, f"/guid/{guid}", json={"user": "Bea"}) for method in WRITES),
                api.delete(f"/guid/{guid}"),
            )
            for answer in answers:
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
                assert "nothing was written" in detail(answer)
            assert (await api.get(f"/guid/{guid}")).text == before.text
            assert (await api.get("/guid")).status_code == 200
        assert (await api.get(f"/guid/{guid}")).text == before.text
        assert (await api.patch(f"/guid/{guid}", json={"user": "Bea"})).status_code == 200


@pytest.mark.parametrize("where", ["app", "server"])
async def test_a_file_that_can_not_be_read_is_a_503_and_the_service_not_ready(
    tmp_path: Path, clock: Clock, guid: str, where: str
) -> None:
    file = tmp_path / "guidkeep.db"
    async with on(file, clock, where) as api:
        file.write_bytes(b"no database" * (file.stat().st_size // 11 + 1))
        with capture_logs():
            for path in (f"/guid/{guid}", "/guid", "/readyz"):
                answer = await api.get(path)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
                assert str(tmp_path) not in answer.text
            assert (await api.get("/livez")).status_code == 200
