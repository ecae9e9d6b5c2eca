"""The bytes that requests hold are those taken from the budget, as measured in Python."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.caches import CacheOptions, open_cache
from guidkeep.http.memory import Memory
from guidkeep.record import ALWAYS
from guidkeep.registry.paging import MAX_PAGE
from tests.support import MARCH_2015, app_of, change, make_registry, opened_store, scope_of, until

if TYPE_CHECKING:
    from pathlib import Path


BODIES = 50
LONG = b'{"user":"Ann","note":"%b"}' % (b"x" * 65_500)


async def test_a_body_takes_as_much_as_is_ever_held_of_it(tmp_path: Path) -> None:
    """Many requests at once, while they wait for the store and while no client reads."""
    reads, asked = asyncio.Event(), 0

    async def receive() -> Any:
        return {"type": "http.request", "body": bytes(bytearray(LONG))}  # a new one for each

    async def send(message: Any) -> None:
        nonlocal asked
        if message["type"] == "http.response.start":
            assert message["status"] == 201
            asked += 1
        await reads.wait()

    async with opened_store(tmp_path / "guids.db") as store:
        memory = Memory(1 << 30)
        app = app_of(
            make_registry(store, open_cache("none://", CacheOptions(max_age=60))), memory=memory
        )
        async with asyncio.TaskGroup() as group:
            tracemalloc.start()
            try:
                for _ in range(BODIES):
                    group.create_task(app(scope_of("POST", "/guid"), receive, send))  # type: ignore[arg-type]  # it is a coroutine
                await until(lambda: asked == BODIES)
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
                reads.set()
    assert BODIES * len(LONG) < most < memory.peak
    assert memory.used == 0


@pytest.mark.parametrize("letters", ["x", "\N{GRINNING FACE}xxx"], ids=["narrow", "wide"])
@pytest.mark.parametrize("size", [200, 1_000, 15_000, 65_000])
async def test_a_page_takes_as_much_as_is_ever_held_of_it_while_it_is_made(
    tmp_path: Path, letters: str, size: int
) -> None:
    """Pages of many small records, and of large ones."""
    text = letters * (size // len(letters.encode()))
    body = json.dumps({"user": "Ann", "note": text}, ensure_ascii=False)
    sent = 0

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))

    async with opened_store(tmp_path / "guids.db") as store:
        memory = Memory(1 << 30)
        registry = make_registry(store, open_cache("none://", CacheOptions(max_age=60)))
        for _ in range(min(1_000, 2 * MAX_PAGE // size)):
            await registry.create_or_update(
                change(None, body, now=int(MARCH_2015)), ALWAYS, MARCH_2015
            )
        app = app_of(registry, memory=memory)
        tracemalloc.start()
        try:
            await app(scope_of("GET", "/guid", b"limit=1000"), receive, send)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert min(1_000 * size, MAX_PAGE - size) < sent < most < memory.peak
    assert memory.used == 0
