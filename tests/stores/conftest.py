"""The stores that keep the contract, by name.

`opener` opens the store under test: it is empty the first time in a test and then keeps its
records.
"""

from __future__ import annotations

import importlib
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.testing.opening import opener, store
from servers.proxy import Proxy
from tests.engines import LOCAL, SINGLE, STORES, here, local_url, store_of
from tests.stores.outage import Outage

__all__ = ["opener", "store"]  # fixtures of the shipped contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.engines import Engines


def local_urls(name: str, folder: Path) -> Callable[[], str]:
    """Returns a function that makes URLs; the first is that of the fixture `file`."""
    names = itertools.chain(["guidkeep.db"], map("guidkeep-{}.db".format, itertools.count(2)))
    return lambda: local_url(name, folder / next(names))


@pytest.fixture(params=STORES)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Returns a function that makes URLs of empty stores, which no other test uses."""
    if request.param in LOCAL:
        return local_urls(request.param, tmp_path)
    engines: Engines = request.getfixturevalue("engines")
    return engines.get(request.param).fresh


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """The name of the store under test, as its table has it."""
    return store_of(request.node.callspec.params["new_url"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "guidkeep.db"


@pytest.fixture(scope="module", params=SINGLE)
def breakable(
    request: pytest.FixtureRequest, engines: Engines, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Any]]:
    """A server for this module alone; each test leaves it running."""
    engines.get(request.param)  # skips, or fails, if it is not installed
    module = importlib.import_module(f"servers.{request.param}")
    with here(module.started(tmp_path_factory.mktemp("outages"))) as running:
        yield request.param, running


@pytest.fixture
def outage(breakable: tuple[str, Any]) -> Iterator[Outage]:
    name, server = breakable
    url = server.fresh()
    with Proxy.before(url) as proxy:
        yield Outage(name, server, proxy, proxy.url(url))
