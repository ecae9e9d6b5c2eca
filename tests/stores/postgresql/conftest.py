"""In this folder `opener` and `store` are PostgreSQL's."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from servers.postgresql import PostgreSQL, Server, started
from tests.engines import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.engines import Engines


@pytest.fixture
def server(engines: Engines) -> Server:
    """The server that all tests share; no test may break it."""
    return cast("Server", engines.get("postgresql"))


@pytest.fixture
def url(server: Server) -> str:
    """A new, empty database."""
    return server.fresh()


@pytest.fixture
def new_url(server: Server, url: str) -> Callable[[], str]:
    """Returns a function that makes URLs; the first is `url`."""
    urls = [url]
    return lambda: urls.pop() if urls else server.fresh()


@pytest.fixture
def own(engines: Engines, tmp_path: Path) -> Iterator[PostgreSQL]:
    """A server that the test may break."""
    engines.get("postgresql")  # skips, or fails, if it is not installed
    folder = tmp_path / "own"
    folder.mkdir()
    with here(started(folder)) as running:
        yield running


@pytest.fixture
def thousands() -> int:
    """More records than one batch holds."""
    return 3000
