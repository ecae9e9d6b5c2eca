"""The table of routes, and everything made from its rows."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest

from guidkeep.http.responses import Response, json_response
from guidkeep.http.routes import HEALTH, Route, methods, routes
from guidkeep.metrics import Metrics
from tests.http.helpers import Api
from tests.support import GUID, app_of, make_registry, opened_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from guidkeep.http.handlers import Parts
    from guidkeep.http.requests import Request

PATHS = [path for route in routes() for path in (route.path, *route.also)]
ROWS = {route.path: route for route in routes() if route.path != "*"}  # not a path
LINK = {
    "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
}  # fmt: skip
"""The headers of a browser that follows a link on a page of another site."""


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def app(tmp_path: Path, metrics: Metrics) -> AsyncIterator[Api]:
    async with opened_store(tmp_path / "guidkeep.db") as store:
        registry = make_registry(store)
        async with Api(app_of(registry, metrics=metrics)) as client:
            yield client
        await registry.close()


def test_no_path_is_that_of_two_routes() -> None:
    assert len(set(PATHS)) == len(PATHS)


@pytest.mark.parametrize("path", ROWS)
async def test_each_method_of_a_row_is_answered_and_no_other(
    app: Api, metrics: Metrics, path: str
) -> None:
    route = ROWS[path]
    known = {*route.methods} | ({"HEAD"} if "GET" in route.methods else set())
    for address in (route.path, *route.also):
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            answer = await app.request(method, address.replace("{guid}", GUID))
            assert (answer.status_code == 405) == (method not in known), (method, address)
            if answer.status_code == 405:
                assert answer.headers["allow"] == ", ".join(sorted(known))
    requests = metrics.numbers()["guidkeep_request_seconds"]
    assert (route.label or route.path) in {labels[0] for labels, _ in requests}


class Fresh:
    """A handler that only its row names."""

    def __init__(self, parts: Parts) -> None:
        self._methods = parts.methods

    async def get(self, _: Request) -> Response:
        return json_response({"methods": sorted(self._methods)})


@pytest.mark.parametrize(("may_be_linked", "status"), [(True, 200), (False, 403)])
async def test_a_row_and_a_class_are_a_route_and_the_row_says_who_may_link_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, may_be_linked: bool, status: int
) -> None:
    row = Route("/fresh", {"GET": Fresh.get}, Fresh, may_be_linked=may_be_linked)
    monkeypatch.setattr("guidkeep.http.app.routes", lambda: (*routes(), row))
    async with opened_store(tmp_path / "guidkeep.db") as store:
        registry = make_registry(store)
        async with Api(app_of(registry)) as client:
            answer = await client.get("/fresh")
            assert (answer.status_code, answer.json()) == (200, {"methods": sorted(methods())})
            assert (await client.get("/fresh", headers=LINK)).status_code == status
        await registry.close()


class Echo:
    """A handler of what belongs to one GUID."""

    def __init__(self, _: Parts) -> None:
        pass

    async def get(self, request: Request) -> Response:
        return json_response({"guid": request.guid})


async def test_a_route_below_a_guid_gets_the_guid_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Route("/guid/{guid}/echo", {"GET": Echo.get}, Echo)
    monkeypatch.setattr("guidkeep.http.app.routes", lambda: (*routes(), row))
    async with opened_store(tmp_path / "guidkeep.db") as store:
        registry = make_registry(store)
        async with Api(app_of(registry)) as client:
            answer = await client.get(f"/guid/{GUID}/echo")
            assert (answer.status_code, answer.json()) == (200, {"guid": GUID})
            assert (await client.get(f"/guid/{GUID}/other")).status_code == 404
        await registry.close()


def test_health_is_what_the_table_says() -> None:
    assert {"/livez", "/readyz"} == HEALTH


def test_a_server_as_a_whole_knows_the_methods_of_its_routes() -> None:
    assert methods() == {"HEAD", *chain.from_iterable(route.methods for route in routes())}
