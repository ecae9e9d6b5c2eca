"""Another program that writes to Redis can't make a node respond with anything but a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guidkeep.caches.redis import scripts
from guidkeep.testing.looks import look
from servers.redis import prefix_of
from tests.caches.redis.conftest import NEWER, NOW, RECORD, held, keep
from tests.caches.test_entries import WRONG
from tests.support import GUID, until

if TYPE_CHECKING:
    from servers.redis import Redis
    from tests.caches.redis.conftest import Opener

FORGE = """
local generation = cmsgpack.unpack(redis.call('GET', KEYS[1]))
redis.call('SET', KEYS[1], cmsgpack.pack(generation, %s))
"""
"""Puts a value of the generation that stands into the key of an entry."""

SHAPES = {
    "an entry that is a number": "9e15, 9e15, 1",
    "an entry that is a table": "9e15, 9e15, {}",
    "an end that is text": "'x', 'y', ARGV[1]",
    "an end that is nothing": "false, false, ARGV[1]",
    "a reader without an end": "false, false, false, 'a'",
    "a reader that is a table": "false, false, false, {}, 9e15",
    "writers that are a number": "9e15, 9e15, ARGV[1], false, false, 'a', 5",
    "a writer that ends with text": "9e15, 9e15, ARGV[1], false, false, 'a', {a = 'x'}",
    "nothing more": "nil",
}


def key_of(url: str) -> str:
    return prefix_of(url) + GUID


@pytest.mark.parametrize("kept", WRONG.values(), ids=WRONG)
async def test_a_forged_entry_is_a_miss_and_makes_room(
    shared: Redis, open_at: Opener, kept: bytes
) -> None:
    url = shared.fresh()
    cache = open_at(url)
    await keep(cache, RECORD)
    shared.ask("EVAL", FORGE % "9e15, 9e15, ARGV[1]", 1, key_of(url), kept)
    assert await look(cache) is None
    await until(lambda: not shared.keys(url))
    await keep(cache, RECORD)
    shared.ask("EVAL", FORGE % "9e15, 9e15, ARGV[1]", 1, key_of(url), kept)
    assert await held(cache) is None
    assert (cache.counts.hits, cache.counts.misses) == (0, 1)
    await until(lambda: not shared.keys(url))
    await keep(cache, NEWER)
    assert await held(cache) == NEWER


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_a_value_of_another_shape_is_no_hit_and_blocks_no_reader_or_writer(
    shared: Redis, open_at: Opener, shape: str
) -> None:
    url = shared.fresh()
    cache = open_at(url)
    await keep(cache, RECORD)
    shared.ask("EVAL", FORGE % shape, 1, key_of(url), "7 {}")
    assert await look(cache) is None
    assert await held(cache) is None
    await until(lambda: not cache._tasks)  # the invalid entry is dropped
    await keep(cache, NEWER)
    assert await held(cache) == NEWER
    assert cache.counts.unsettled == 0


async def test_nodes_of_two_versions_over_one_redis_never_read_each_others_entries(
    shared: Redis, open_at: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of a key by one is a flush of that key for the other."""
    url = shared.fresh()
    new = open_at(url)
    await keep(new, RECORD)
    monkeypatch.setattr(scripts, "FORMAT", "1")
    old = open_at(url)
    await old.ping()
    assert await held(old) is None
    await keep(old, RECORD)
    assert (await held(old), await held(new)) == (RECORD, None)
    await keep(new, NEWER)
    assert (await held(new), await held(old)) == (NEWER, None)


@pytest.mark.parametrize("reader_is_old", [True, False])
async def test_a_slow_reader_of_another_version_puts_nothing_back_after_a_write(
    shared: Redis, open_at: Opener, monkeypatch: pytest.MonkeyPatch, *, reader_is_old: bool
) -> None:
    url = shared.fresh()
    new = open_at(url)
    await new.ping()
    monkeypatch.setattr(scripts, "FORMAT", "1")
    old = open_at(url)
    await old.ping()
    reads, writes = (old, new) if reader_is_old else (new, old)
    before = await reads.get(GUID, NOW)
    writing = await writes.lease(GUID)
    between = await reads.get(GUID, NOW)
    await writes.settle(writing, NEWER, NOW)
    for lease in (before, between):
        if isinstance(lease, tuple):
            await reads.fill(lease, RECORD, NOW)
    assert await held(reads) is None
    assert await held(writes) in (NEWER, None)
