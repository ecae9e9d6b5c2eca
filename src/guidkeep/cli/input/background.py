"""Reads the records of a file in threads, while the event loop does other work."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from guidkeep.cli.input.items import Item

CHUNK_BYTES = 1 << 16
"""Characters of records that are handed over at a time; one record may be longer."""
CHUNK_ITEMS = 1000


async def read_apart(items: Iterator[Item]) -> AsyncIterator[Item]:
    """Yields the items, read in threads, so that a slow read does not delay the event loop.

    Raises:
        An error of reading, after the items before it.
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
    """Returns the next few items, none at the end; and the error that ended them, if any."""
    chunk: list[Item] = []
    size = 0
    try:
        for item in items:
            chunk.append(item)
            size += len(item.text)
            if size > CHUNK_BYTES or len(chunk) == CHUNK_ITEMS:
                break
    except Exception as error:  # noqa: BLE001 - read_apart raises it
        return chunk, error
    return chunk, None


async def _apart(
    work: Callable[[], tuple[list[Item], Exception | None]],
) -> tuple[list[Item], Exception | None]:
    """Does the work in a daemon thread, since a read from an idle input may never return."""
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
