"""The contract that ships in the package, on every store that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guidkeep.stores.sqlite.store import SQLiteStore
from guidkeep.testing.stores import *  # noqa: F403 - its tests are run here

if TYPE_CHECKING:
    from guidkeep.stores import Store


@pytest.fixture  # type: ignore[no-redef] # takes the place of the suite's own
def thousands(request: pytest.FixtureRequest) -> int:
    """More records than one batch holds; fewer where a write takes a step for each of them."""
    return 600 if request.node.callspec.params["new_url"] == "mongodb" else 3000


async def test_only_a_store_in_this_process_has_no_clock_of_its_own(store: Store) -> None:
    assert (await store.clock() is None) == isinstance(store, SQLiteStore)
