"""When operations that travel together leave, and how many come back in one turn of the event loop.

They leave one turn later than they could.

Requests that come in together are read in one turn of the loop, and in the next each hands its
operation in, by a task of its own. Answers that leave together bring the next requests together,
too. What left at the end of the turn in which the first of them is there would leave those behind
that are being read meanwhile, to a round of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


SETTLED = 64
"""Operations whose answers are made in one turn of the loop. Each takes some 40 µs, and hundreds
come back together, for which all other requests would wait."""


def after_next(loop: asyncio.AbstractEventLoop, leave: Callable[[], object]) -> None:
    """Calls it at the end of the loop's next turn, not of this one."""
    loop.call_soon(loop.call_soon, leave)
