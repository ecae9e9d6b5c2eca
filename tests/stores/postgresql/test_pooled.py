"""The whole contract through a proxy that pools transactions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from guidkeep.testing.stores import *  # noqa: F403 - runs its tests
from servers.postgresql import Bouncer, Server, pgbouncer
from tests.engines import here
from tests.stores.records import make_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guidkeep.testing.opening import Opener
    from tests.engines import Engines


@pytest.fixture(scope="session")
def bouncer(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bouncer]:
    server = cast("Server", engines.get("postgresql"))
    folder = tmp_path_factory.mktemp("pgbouncer")
    with here(pgbouncer(folder, server, pool_size=2)) as running:
        yield running


@pytest.fixture
def new_url(bouncer: Bouncer) -> Callable[[], str]:
    return bouncer.fresh


async def test_more_nodes_than_connections_of_the_proxy_are_all_served(
    bouncer: Bouncer, opener: Opener
) -> None:
    """No node keeps a connection of the proxy between its operations."""
    async with opener() as first, opener() as second, opener() as third:
        records = [make_record(number) for number in range(30)]
        for store in (first, second, third):
            await asyncio.gather(*(store.insert(record) for record in records))
        for record in records:
            for store in (first, second, third):
                assert await store.get(record.guid) == record
