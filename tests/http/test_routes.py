"""The table of routes, and everything made from its rows."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest

from guidkeep.http.routes import HEALTH, methods, routes
from guidkeep.metrics import Metrics
from tests.http.helpers import Api
from tests.support import GUID, app_of, make_registry, opened_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATHS = [path for route in routes() for path in (route.path, *route.also)]
ROWS = {route.path: route for route in routes() if route.path != "*"}  # not a path


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


def test_health_is_what_the_table_says() -> None:
    assert {"/livez", "/readyz"} == HEALTH


def test_a_server_as_a_whole_knows_the_methods_of_its_routes() -> None:
    assert methods() == {"HEAD", *chain.from_iterable(route.methods for route in routes())}
