"""The division of a batch into statements by their size."""

from __future__ import annotations

import pytest

from guidkeep.stores.remote.base import divided


@pytest.mark.parametrize(
    ("items", "lists"),
    [
        ("a", ["a"]),
        ("ab", ["ab"]),
        ("abc", ["abc"]),
        ("abcd", ["abc", "d"]),
        ("aZb", ["a", "Z", "b"]),
        ("ZZ", ["Z", "Z"]),
        ("abZ", ["ab", "Z"]),
    ],
)
def test_lists_are_as_long_as_the_limit_allows_and_a_larger_item_is_alone(
    items: str, lists: list[str]
) -> None:
    found = divided(items, lambda item: 9 if item == "Z" else 1, limit=3)
    assert ["".join(some) for some in found] == lists
