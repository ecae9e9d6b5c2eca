"""The fixtures of the tests of batches: a `Doubler` with each runner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.batching.doubler import EVERY_RUNNER, Doubler, Make

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(params=EVERY_RUNNER)
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Makes doublers with one runner after the other, and closes them."""
    made: list[Doubler] = []

    def make_one(runner: Any = EVERY_RUNNER[request.param], **options: Any) -> Doubler:
        made.append(Doubler(runner, **options))
        return made[-1]

    yield make_one
    for doubler in made:
        await doubler.close()


@pytest.fixture
async def doubler(make: Make) -> Doubler:
    made: Doubler = make()
    return made
