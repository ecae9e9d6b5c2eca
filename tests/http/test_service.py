"""The routes about the service itself: /livez, /readyz, /metrics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from guidkeep import __version__
from guidkeep.http import docs
from guidkeep.metrics import TABLE, Row
from guidkeep.record import new_guid
from tests.http.faulty import CutOffCache
from tests.http.helpers import DOCUMENT, SOON, Api, detail
from tests.support import app_of, make_registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guidkeep.registry.registry import Registry
    from guidkeep.stores import Store
    from tests.support import Clock


class Shown:
    """Returns the values in /metrics, by name and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
                assert found
                labels = re.findall(r'(\w+)="([^"]*)"', found[2] or "")
                self.values[found[1], frozenset(labels)] = float(found[3])

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float:
        return self.values.get((name, frozenset((labels or {}).items())), 0)

    def requests(self, route: str, method: str, status: int) -> float:
        labels = {"route": route, "method": method, "status": str(status)}
        return self.value("guidkeep_request_seconds_count", labels)


async def shown(api: Api) -> Shown:
    answer = await api.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Shown(answer.text)


async def test_livez_says_that_the_process_answers(api: Api) -> None:
    answer = await api.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": __version__})
    assert answer.headers["cache-control"] == "no-store"


async def test_readyz_says_that_requests_can_be_served(api: Api) -> None:
    answer = await api.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "store": "ok", "cache": "ok"}
    assert answer.headers["cache-control"] == "no-store"


async def test_without_its_cache_the_service_is_ready_and_says_that_it_is_degraded(
    store: Store, clock: Clock
) -> None:
    registry = make_registry(store, CutOffCache(max_size=1 << 20, max_age=60), clock)
    async with Api(app_of(registry)) as api:
        answer = await api.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "store": "ok", "cache": "degraded"}


async def test_a_server_that_stops_is_alive_and_not_ready(registry: Registry) -> None:
    async with Api(app_of(registry, is_draining=lambda: True)) as api:
        answer = await api.get("/readyz")
        assert answer.status_code == 503
        assert "stopping" in detail(answer)
        assert (await api.get("/livez")).status_code == 200


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
async def test_each_metric_is_shown_and_explained(api: Api, row: Row) -> None:
    text = (await shown(api)).text
    assert f"# HELP {row.shown} {row.help}\n# TYPE {row.shown} {row.kind}\n" in text


async def test_what_requests_did_is_shown_by_its_labels(live: Api, guid: str) -> None:
    await live.made(guid)
    await live.get("/guid")
    text = (await shown(live)).text
    assert 'operation="insert"' in text
    assert 'kind="write"' in text


async def test_every_request_is_counted_by_route_template_method_and_status(
    api: Api, guid: str
) -> None:
    one, some = "/guid/{guid}", "/guid"
    asked = [
        (one, "PUT", 201, await api.put(f"/guid/{guid}", json={"user": "Ann"})),
        (one, "GET", 200, await api.get(f"/guid/{guid}")),
        (one, "HEAD", 200, await api.head(f"/guid/{guid}")),
        (one, "GET", 400, await api.get(f"/guid/{guid.lower()}x")),
        (one, "GET", 404, await api.get(f"/guid/{new_guid()}")),
        (one, "DELETE", 412, await api.delete(f"/guid/{guid}", headers={"If-Match": '"1"'})),
        (one, "DELETE", 204, await api.delete(f"/guid/{guid}")),
        (some, "GET", 200, await api.get("/guid")),
        (some, "POST", 201, await api.post("/guid/", json={"user": "Ann"})),
        (some, "other", 405, await api.request("TRACE", "/guid")),
        ("(none)", "GET", 404, await api.get(f"/nowhere/{guid}")),
        ("/livez", "GET", 200, await api.get("/livez")),
    ]
    before = await shown(api)
    for route, method, status, answer in asked:
        assert answer.status_code == status
        request = answer.request
        again = await api.request(request.method, str(request.url), content=request.content,
                                  headers=request.headers)  # fmt: skip
        after = await shown(api)
        method_seen = method if again.status_code == status else request.method
        counted = (route, method_seen, again.status_code)
        assert after.requests(*counted) == before.requests(*counted) + 1
        before = after


async def test_hits_are_counted_like_slower_requests(live: Api, guid: str) -> None:
    await live.made(guid, expire=SOON)
    before = await shown(live)
    for _ in range(5):
        assert (await live.get(f"/guid/{guid}")).status_code == 200
    after = await shown(live)
    counted = ("/guid/{guid}", "GET", 200)
    assert after.requests(*counted) == before.requests(*counted) + 5
    hits = "guidkeep_cache_hits_total"
    assert after.value(hits) == before.value(hits) + 5
    operations = ("guidkeep_store_seconds_count", {"operation": "get", "outcome": "ok"})
    assert after.value(*operations) == before.value(*operations)


async def test_a_miss_and_an_entry_are_counted(live: Api, guid: str) -> None:
    before = await shown(live)
    assert (await live.get(f"/guid/{guid}")).status_code == 404
    await live.made(guid)
    after = await shown(live)
    misses, entries, size = (
        f"guidkeep_cache_{name}" for name in ("misses_total", "entries", "bytes")
    )
    assert after.value(misses) > before.value(misses)
    assert after.value(entries) == before.value(entries) + 1
    assert after.value(size) > before.value(size)


async def test_no_guid_no_user_and_no_address_ever_is_a_label(api: Api, guid: str) -> None:
    user = f"user of {guid}"
    await api.made(guid, user=user)
    paths = [f"/guid/{guid}", f"/guid/{guid}/x", f"/{guid}", f"/guid?user={user}&after={guid}"]
    for path in paths:
        for method in ("GET", "PUT", "TRACE"):
            await api.request(method, path)
    text = (await shown(api)).text
    assert guid not in text
    assert not re.search("[0-9A-Fa-f]{32}", text)
    assert "user of" not in text
    routes = set(re.findall(r'route="([^"]*)"', text))
    assert routes <= {*DOCUMENT["paths"], *docs.pages(), "(none)"}
    methods = set(re.findall(r'method="([^"]*)"', text))
    assert methods <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}
