"""What requests hold is what they have taken of the budget, to the byte that Python allocates."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING, Any

from guidkeep.caches import open_cache
from guidkeep.http.app import make_app
from guidkeep.http.hosts import Hosts
from guidkeep.http.memory import Memory
from guidkeep.metrics import Metrics
from guidkeep.schema import MetadataSchema
from guidkeep.settings import Settings
from tests.support import make_registry, opened_store, until

if TYPE_CHECKING:
    from pathlib import Path

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
        app = make_app(
            make_registry(store, open_cache("none://", max_age=60)),
            settings=Settings(),
            schema=MetadataSchema(),
            metrics=Metrics(),
            hosts=Hosts((), bound="localhost"),
            memory=memory,
        )
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
