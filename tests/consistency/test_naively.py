"""The search agrees with one that tries all orders, without short cuts."""

from __future__ import annotations

import random
from math import inf
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.consistency.search import check
from tests.consistency.specification import Specification
from tests.consistency.stories import by_the_book

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.consistency.operations import Operation
    from tests.consistency.specification import State


def has_an_order(history: Sequence[Operation]) -> bool:
    """Whether an order explains all responses; operations in doubt may be left out."""
    specification = Specification(history)

    def goes_on(state: State, left: Sequence[Operation]) -> bool:
        due = [operation.returned for operation in left if not operation.is_open]
        return not due or any(
            goes_on(following, [other for other in left if other is not one])
            for one in left
            if one.invoked <= min(due)
            for following in specification.after(one, state)
        )

    return goes_on(None, history)


def spoilt(history: list[Operation], chance: random.Random) -> list[Operation]:
    """The same with some responses changed: to another's, to none, or to another status."""
    for operation in chance.sample(history, chance.randrange(4)):
        lot = chance.random()
        if lot < 0.4:
            other = chance.choice(history)
            if operation.seen and other.seen:
                operation.seen = other.seen
        elif lot < 0.7 and operation.kind != "read":
            operation.status = operation.seen = None
            operation.latest = inf
        elif operation.status is not None:
            operation.status, operation.seen = chance.choice((404, 412)), None
    return [operation for operation in history if operation.tells]


@settings(max_examples=500, deadline=None)
@given(seed=st.integers(0, 2**32), width=st.sampled_from([1.0, 3.0, 6.0]))
def test_both_find_an_order_or_neither(seed: int, width: float) -> None:
    history = spoilt(by_the_book(seed, 7, width), random.Random(seed))  # noqa: S311 - no secret
    assert (check(history) is None) == has_an_order(history)
