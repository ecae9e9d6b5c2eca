"""Records of a file that are read while other things go on."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from guidkeep.cli.input.items import Item

CHUNK_BYTES = 1 << 16
"""Characters of records that are taken over at a time; one record may be longer."""
CHUNK_ITEMS = 1000


async def read_apart(items: Iterator[Item]) -> AsyncIterator[Item]:
    """The items, read in threads: what is on its way goes on, however long the next one takes.

    Raises:
        What reading raises, after the items before it.
    """
    while True:
        chunk, error = await _apart(lambda: _chunk(items))
        for item in chunk:
            yield item
        if error:
            raise error
        if not chunk:
            return


def _chunk(items: Iterator[Item]) -> tuple[list[Item], Exception | None]:
    """The next few items; none at the end. With what ended it, if that was an error."""
    chunk: list[Item] = []
    size = 0
    try:
        for item in items:
            chunk.append(item)
            size += len(item.text)
            if size > CHUNK_BYTES or len(chunk) == CHUNK_ITEMS:
                break
    except Exception as error:  # noqa: BLE001 - it is raised where the items are taken
        return chunk, error
    return chunk, None


async def _apart(
    work: Callable[[], tuple[list[Item], Exception | None]],
) -> tuple[list[Item], Exception | None]:
    """Does the work in a thread that nobody waits for at the end: an input may never say more."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[list[Item], Exception | None]] = loop.create_future()

    def settle(result: tuple[list[Item], Exception | None]) -> None:
        if not done.cancelled():
            done.set_result(result)

    def run() -> None:
        result = work()
        with suppress(RuntimeError):  # it was interrupted, and the loop is closed
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=run, daemon=True).start()
    return await done
