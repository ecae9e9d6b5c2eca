"""The permissions of a Redis user in docs/operating.md are sufficient and necessary."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from guidkeep.caches import CacheOptions, open_cache
from guidkeep.record import Record
from servers import redis
from tests.docs.pages import text_of
from tests.engines import here
from tests.support import GUID, MARCH_2015

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.redis import Redis
    from tests.engines import Engines

RECORD = Record(GUID, MARCH_2015 + 1000, 7, '{"user":"Ann"}')


def documented() -> list[str]:
    """Returns the command that creates the user, as sent to Redis."""
    found = re.search(
        r"^redis-cli (ACL SETUSER (?:.*\\\n)*.*)$", text_of("docs/operating.md"), re.MULTILINE
    )
    assert found
    return shlex.split(found[1].replace("\\\n", ""))


ALLOWED = [word for word in documented() if word.startswith("+")]


@pytest.fixture
def server(engines: Engines, tmp_path: Path) -> Iterator[Redis]:
    """A server for this test alone, because the test changes its users."""
    engines.get("redis")  # skips the test where Redis is missing
    with here(redis.started(tmp_path)) as started:
        yield started


async def is_kept(server: Redis) -> bool:
    """Returns whether a cache with that user stores and drops a record."""
    url = f"redis://guidkeep:secret@{server.host}:{server.port}/1"
    cache = open_cache(url, CacheOptions(max_age=60, timeout=5))
    try:
        await cache.settle(await cache.lease(GUID), RECORD, MARCH_2015)
        was_kept = await cache.get(GUID, MARCH_2015) == RECORD
        await cache.settle(await cache.lease(GUID), None, MARCH_2015)
        return was_kept and await cache.get(GUID, MARCH_2015) != RECORD
    finally:
        await cache.close()


async def test_what_the_page_allows_is_enough(server: Redis) -> None:
    server.ask(*documented())
    assert await is_kept(server)


@pytest.mark.parametrize("left_out", ALLOWED)
async def test_nothing_of_it_can_be_left_out(server: Redis, left_out: str) -> None:
    server.ask(*(word for word in documented() if word != left_out))
    assert not await is_kept(server)
