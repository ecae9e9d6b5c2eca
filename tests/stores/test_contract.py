"""The contract in the package, on every store in the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guidkeep.stores.sqlite.store import SQLiteStore
from guidkeep.testing.stores import *  # noqa: F403 - runs its tests

if TYPE_CHECKING:
    from guidkeep.stores import Store


@pytest.fixture  # type: ignore[no-redef] # replaces the suite's fixture
def thousands(request: pytest.FixtureRequest) -> int:
    """More records than one batch holds; fewer if a write takes a step for each record."""
    return 600 if request.node.callspec.params["new_url"] == "mongodb" else 3000


async def test_only_a_store_in_this_process_has_no_clock_of_its_own(store: Store) -> None:
    assert (await store.clock() is None) == isinstance(store, SQLiteStore)
