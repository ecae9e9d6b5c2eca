"""The statistics: live records, their expiry, and the state of the service."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.caches import CacheOptions, open_cache, watch_cache
from guidkeep.errors import StoreUnavailable
from guidkeep.metrics import SECONDS, Metrics
from tests.http.faulty import faulty
from tests.http.helpers import EACH_PAIR, Api
from tests.support import MARCH_2015, app_of, make_registry, opened_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from guidkeep.metrics import Gathered
    from tests.support import Clock

DAY = 86_400
TODAY = MARCH_2015 // DAY * DAY


async def stats(api: Api) -> dict[str, Any]:
    answer = await api.get("/stats")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
async def alone(tmp_path: Path, clock: Clock) -> AsyncIterator[Api]:
    """A client of an application with its own store."""
    async with opened_store(tmp_path / "guidkeep.db") as store:
        registry = make_registry(store, clock=clock)
        async with Api(app_of(registry)) as api:
            yield api
        await registry.close()


@EACH_PAIR
async def test_it_has_all_parts_whatever_store_and_cache(api: Api) -> None:
    found = await stats(api)
    assert found.keys() == {
        "as_of", "live", "forecast", "later", "cache", "reclaimed", "requests"
    }  # fmt: skip
    assert found["as_of"].isdigit()
    assert found["live"] == sum(day["expire"] for day in found["forecast"]) + found["later"]
    assert len(found["forecast"]) == 90
    assert found["cache"].keys() == {"url", "hits", "misses", "entries", "bytes"}


async def test_records_are_counted_by_the_day_on_which_they_expire(alone: Api) -> None:
    expires = [
        MARCH_2015 + 1, TODAY + DAY - 1, TODAY + DAY, TODAY + 2 * DAY - 1, TODAY + 89 * DAY,
        TODAY + 90 * DAY - 1, TODAY + 90 * DAY, 253_402_300_799,
    ]  # fmt: skip
    for expire in expires:
        await alone.made(expire=expire)
    found = await stats(alone)
    assert found["as_of"] == str(MARCH_2015)
    assert (found["live"], found["later"]) == (8, 2)
    counts = [day["expire"] for day in found["forecast"]]
    assert counts == [2, 2] + [0] * 87 + [2]
    first = datetime.fromtimestamp(MARCH_2015, UTC).date()
    assert [day["date"] for day in found["forecast"]] == [
        str(first + timedelta(days=day)) for day in range(90)
    ]


async def test_what_is_expired_is_not_counted(alone: Api, clock: Clock) -> None:
    await alone.made(expire=MARCH_2015 + 10)
    clock.advance(9)
    assert (await stats(alone))["live"] == 1
    clock.advance(400)
    assert (await stats(alone))["live"] == 0


async def test_the_cache_s_metrics_are_told(tmp_path: Path, clock: Clock) -> None:
    async with opened_store(tmp_path / "guidkeep.db") as store:
        metrics = Metrics()
        cache = open_cache("memory://", CacheOptions(max_age=60))
        watch_cache(cache, metrics)
        registry = make_registry(store, cache, clock)
        app = app_of(registry, metrics=metrics)
        async with Api(app) as api:
            guid = (await api.made()).json()["guid"]
            before = (await stats(api))["cache"]
            await api.get(f"/guid/{guid}")
            after = (await stats(api))["cache"]
        metrics.count("guidkeep_swept_records", by=7)
        async with Api(app) as api:
            assert (await stats(api))["reclaimed"] == 7
        await registry.close()
    assert (after["url"], after["entries"]) == ("memory://", 1)
    assert after["bytes"] > 100
    assert after["hits"] == before["hits"] + 1


async def test_of_a_cache_elsewhere_no_entries_are_told_nor_its_password(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened_store(tmp_path / "guidkeep.db") as store:
        registry = make_registry(store, clock=clock)
        async with Api(app_of(registry, cache="redis://me:hunter2@cache/0")) as api:
            found = (await stats(api))["cache"]
        await registry.close()
    assert (found["entries"], found["bytes"]) == (None, None)
    assert found["url"] == "redis://"


async def test_requests_are_told_by_route_method_and_status(live: Api, guid: str) -> None:
    def of(found: dict[str, Any]) -> dict[str, Any]:
        [kind] = [
            kind for kind in found["requests"]["kinds"]
            if (kind["route"], kind["method"], kind["status"]) == ("/guid/{guid}", "HEAD", 404)
        ]  # fmt: skip
        assert sum(kind["counts"]) == kind["count"]
        assert len(kind["counts"]) == len(found["requests"]["bounds"]) + 1
        return dict(kind)

    await live.head(f"/guid/{guid}")
    before = await stats(live)
    assert before["requests"]["bounds"] == list(SECONDS)
    await live.head(f"/guid/{guid}")
    after = await stats(live)
    assert of(after)["count"] == of(before)["count"] + 1
    assert of(after)["seconds"] > of(before)["seconds"]


async def test_the_metrics_of_several_workers_are_added_up(tmp_path: Path, clock: Clock) -> None:
    gathered: Gathered = {}
    for worker in range(2):
        metrics = Metrics()
        cache = open_cache("memory://", CacheOptions(max_age=60))
        cache.counts.hits, cache.counts.misses = 5, worker
        watch_cache(cache, metrics)
        metrics.count("guidkeep_swept_records", by=3)
        for seconds in (0.0001, 0.003, 9.5):
            metrics.tally("guidkeep_request_seconds", "/guid/{guid}", "GET", 200).observe(seconds)
        bulk = metrics.tally("guidkeep_request_seconds", "/bulk", "POST", 200 + 200 * worker)
        bulk.observe(0.25)
        gathered[worker] = json.loads(json.dumps(metrics.numbers()))  # as workers send them

    async def gather() -> Gathered:
        return gathered

    async with opened_store(tmp_path / "guidkeep.db") as store:
        registry = make_registry(store, clock=clock)
        async with Api(app_of(registry, gather=gather)) as api:
            found = await stats(api)
        await registry.close()
    assert (found["cache"]["hits"], found["cache"]["misses"], found["reclaimed"]) == (10, 1, 6)
    kinds = {(one["route"], one["status"]): one for one in found["requests"]["kinds"]}
    assert kinds.keys() == {("/guid/{guid}", 200), ("/bulk", 200), ("/bulk", 400)}
    reads = kinds["/guid/{guid}", 200]
    assert (reads["method"], reads["count"]) == ("GET", 6)
    assert reads["seconds"] == pytest.approx(2 * (0.0001 + 0.003 + 9.5))
    assert reads["counts"] == [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2]


@EACH_PAIR
async def test_the_state_of_the_service_is_also_returned_alone(api: Api) -> None:
    whole = await stats(api)
    alone = (await api.get("/stats/service")).json()
    assert alone.keys() == whole.keys() - {"as_of", "live", "forecast", "later"}
    assert {alone[name] == whole[name] for name in ("cache", "reclaimed")} == {True}
    assert alone["requests"]["bounds"] == whole["requests"]["bounds"]


async def test_the_state_of_the_service_needs_no_store_and_starts_no_count(
    tmp_path: Path, clock: Clock
) -> None:
    async with faulty(tmp_path / "guidkeep.db", clock) as (api, store):
        store.gate.clear()
        assert (await api.get("/stats/service")).status_code == 200
        for _ in range(10):
            await asyncio.sleep(0)
        assert store._waiting == 0
        store.gate.set()


async def test_a_store_that_can_not_count_is_a_503_until_it_can(
    tmp_path: Path, clock: Clock
) -> None:
    async with faulty(tmp_path / "guidkeep.db", clock) as (api, store):
        store.fault = StoreUnavailable("Closed.")
        assert (await api.get("/stats")).status_code == 503
        store.fault = None
        await api.made()
        assert (await stats(api))["live"] == 1
        store.fault = StoreUnavailable("Closed.")
        clock.advance(100)
        assert (await stats(api))["live"] == 1  # returned with its age
        clock.advance(1000)
        assert (await api.get("/stats")).status_code == 503
