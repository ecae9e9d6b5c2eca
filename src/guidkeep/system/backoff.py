"""How long to wait before the next attempt: one rule for the whole package.

Each wait is longer than the one before, up to a ceiling. Part of it is random, so that clients,
nodes and workers that failed together do not try again together.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_ENOUGH = 64
"""Retries after which every wait has reached its ceiling; a larger power may overflow."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits of one kind of attempt.

    Attributes:
        first: seconds before the first retry, at most.
        longest: seconds before any retry, at most.
        factor: by which each wait exceeds the one before.
        spread: the random part of each wait, from 0 (none) to 1 (all of it).
    """

    first: float
    longest: float
    factor: float = 2.0
    spread: float = 0.5

    def seconds(self, retry: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds to wait before a retry.

        Args:
            retry: its number; the first is 0.
            chance: returns a random number from 0 to 1.
        """
        most = min(self.first * self.factor ** min(retry, _ENOUGH), self.longest)
        return most * (1 - self.spread + self.spread * chance())
