"""With --access-log each request is a line in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
from structlog.testing import capture_logs

from guidkeep.errors import StoreUnavailable
from tests.http.faulty import FaultyStore
from tests.support import GUID, app_of, make_registry

if TYPE_CHECKING:
    from guidkeep.registry.registry import Registry
    from guidkeep.stores import Store


async def test_a_line_tells_what_was_asked_and_how_it_went(registry: Registry) -> None:
    transport = httpx2.ASGITransport(app_of(registry, access_log=True))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        with capture_logs() as lines:
            await client.get(f"/guid/{GUID}", headers={"X-Request-ID": "mine"})
    [line] = lines
    assert line.pop("ms") >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "request_id": "mine",
        "method": "GET",
        "path": f"/guid/{GUID}",
        "status": 404,
        "client": "127.0.0.1",
    }


async def test_the_line_of_a_failure_has_the_id_that_the_client_got(store: Store) -> None:
    faulty = FaultyStore(store)
    faulty.fault = StoreUnavailable("It is away; nothing was done.")
    transport = httpx2.ASGITransport(app_of(make_registry(faulty), access_log=True))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        with capture_logs() as lines:
            answer = await client.get(f"/guid/{GUID}")
    assert {line["request_id"] for line in lines} == {answer.json()["request_id"]}
    assert {line["event"] for line in lines} == {"store unavailable", "request"}
