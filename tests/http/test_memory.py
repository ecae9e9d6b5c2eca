"""What requests hold is what they have taken of the budget, to the byte that Python allocates."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.caches import open_cache
from guidkeep.http.app import make_app
from guidkeep.http.hosts import Hosts
from guidkeep.http.memory import Memory
from guidkeep.lists import MAX_PAGE
from guidkeep.metrics import Metrics
from guidkeep.record import Condition
from guidkeep.schema import MetadataSchema
from guidkeep.settings import Settings
from tests.support import MARCH_2015, change, make_registry, opened_store, until

if TYPE_CHECKING:
    from pathlib import Path

    from guidkeep.http.requests import Application
    from guidkeep.registry import Registry

BODIES = 50
LONG = b'{"user":"Ann","note":"%b"}' % (b"x" * 65_500)


async def test_a_body_takes_as_much_as_is_ever_held_of_it(tmp_path: Path) -> None:
    """All at once, while they wait for the store and while no client reads."""
    reads, asked = asyncio.Event(), 0
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/guid",
        "headers": [(b"host", b"localhost")],
        "query_string": b"",
    }

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
        app = _app(make_registry(store, open_cache("none://", max_age=60)), memory)
        async with asyncio.TaskGroup() as group:
            tracemalloc.start()
            try:
                for _ in range(BODIES):
                    group.create_task(app(dict(scope), receive, send))  # type: ignore[arg-type]  # a Scope is any mapping
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
    """Of many small records, and of large ones."""
    text = letters * (size // len(letters.encode()))
    body = json.dumps({"user": "Ann", "note": text}, ensure_ascii=False)
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/guid",
        "headers": [(b"host", b"localhost")],
        "query_string": b"limit=1000",
    }
    sent = 0

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))

    async with opened_store(tmp_path / "guids.db") as store:
        memory = Memory(1 << 30)
        registry = make_registry(store, open_cache("none://", max_age=60))
        for _ in range(min(1_000, 2 * MAX_PAGE // size)):
            await registry.create_or_update(
                change(None, body, now=int(MARCH_2015)), Condition(), MARCH_2015
            )
        app = _app(registry, memory)
        tracemalloc.start()
        try:
            await app(scope, receive, send)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert min(1_000 * size, MAX_PAGE - size) < sent < most < memory.peak
    assert memory.used == 0


def _app(registry: Registry, memory: Memory) -> Application:
    return make_app(
        registry,
        settings=Settings(),
        schema=MetadataSchema(),
        metrics=Metrics(),
        hosts=Hosts((), bound="localhost"),
        memory=memory,
    )
