"""The pairs of stores and caches on which the HTTP contract is tested."""

from __future__ import annotations

from tests.engines import CACHES, EACH_STORE
from tests.http.helpers import EACH_PAIR, PAIRS


def test_each_store_and_each_cache_is_in_a_pair_and_no_more_pairs_than_that_takes() -> None:
    pairs = [pair.split() for pair in PAIRS]
    assert {store for store, _ in pairs} == set(EACH_STORE)
    assert {cache for _, cache in pairs} == set(CACHES)
    assert len(pairs) == max(len(EACH_STORE), len(CACHES))
    assert len(EACH_PAIR.args[1]) <= 6
