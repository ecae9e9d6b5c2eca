"""Records read in threads: in order, with an error in its place."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from guidkeep.cli.input import background
from guidkeep.cli.input.items import Item
from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(("limit", "most"), [("CHUNK_BYTES", 5), ("CHUNK_ITEMS", 2)])
async def test_items_come_in_order_and_an_error_after_those_before_it(
    monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(background, limit, most)
    items = [Item(number, "{}") for number in range(10)]

    came: list[Item] = []

    def broken() -> Iterator[Item]:
        yield from items
        raise StartupError("It breaks off.")

    async def take() -> None:
        async for item in background.read_apart(broken()):
            came.append(item)  # noqa: PERF401 - the error comes after them

    assert [item async for item in background.read_apart(iter(items))] == items
    with pytest.raises(StartupError, match="breaks off"):
        await take()
    assert came == items


@pytest.mark.parametrize("is_loop_closed", [False, True])
def test_what_comes_after_an_interruption_is_dropped(is_loop_closed: bool) -> None:
    begun, going_on = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def slow() -> Iterator[Item]:
        threads.append(threading.current_thread())
        begun.set()
        going_on.wait()
        yield Item(1, "{}")

    async def interrupted() -> None:
        taking = asyncio.ensure_future(anext(background.read_apart(slow())))
        await asyncio.to_thread(begun.wait)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        if not is_loop_closed:
            going_on.set()
            await asyncio.to_thread(threads[0].join)

    asyncio.run(interrupted())
    going_on.set()
    threads[0].join()
    assert not threads[0].is_alive()
