"""The memory cache: its bound in bytes, and the order of eviction."""

from __future__ import annotations

from sys import getsizeof

from hypothesis import given
from hypothesis import strategies as st

from guidkeep.caches.entries import entry_of, render
from guidkeep.caches.memory import ENTRY_OVERHEAD, MemoryCache
from guidkeep.record import Record
from tests.support import MARCH_2015

NOW = MARCH_2015
GUIDS = [f"{at:032X}" for at in range(8)]


def record(guid: str, version: int = 1, padding: int = 0) -> Record:
    return Record(guid, NOW + 1000, version, f'{{"user":"{"x" * padding}"}}')


COST = getsizeof(render(entry_of(record(GUIDS[0])))) + ENTRY_OVERHEAD


def cache_of(entries: int) -> MemoryCache:
    return MemoryCache(max_size=entries * COST, max_age=60)


async def put(cache: MemoryCache, kept: Record) -> None:
    await cache.settle(await cache.lease(kept.guid), kept, NOW)


def held(cache: MemoryCache) -> list[str]:
    """The GUIDs of the entries, least recently used first."""
    return list(cache._entries)


async def test_the_least_recently_used_entry_makes_room() -> None:
    cache = cache_of(3)
    for guid in GUIDS[:3]:
        await put(cache, record(guid))
    cache.hit(GUIDS[0], NOW)
    await put(cache, record(GUIDS[3]))
    assert held(cache) == [GUIDS[2], GUIDS[0], GUIDS[3]]
    await cache.get(GUIDS[2], NOW)
    await put(cache, record(GUIDS[4]))
    assert held(cache) == [GUIDS[3], GUIDS[2], GUIDS[4]]
    assert cache.counts.evictions == 2


async def test_a_miss_does_not_count_as_use() -> None:
    cache = cache_of(2)
    for guid in GUIDS[:2]:
        await put(cache, record(guid))
    assert cache.hit(GUIDS[0], NOW + 60) is None
    await put(cache, record(GUIDS[2]))
    assert held(cache) == GUIDS[1:3]


async def test_one_large_entry_makes_several_small_ones_go() -> None:
    cache = cache_of(4)
    for guid in GUIDS[:4]:
        await put(cache, record(guid))
    await put(cache, record(GUIDS[4], padding=COST // 2))
    assert held(cache) == [*GUIDS[2:4], GUIDS[4]]
    assert cache.counts.evictions == 2


async def test_an_answer_larger_than_the_cache_is_not_kept_and_evicts_nothing() -> None:
    cache = cache_of(2)
    await put(cache, record(GUIDS[0]))
    await put(cache, record(GUIDS[1], padding=2 * COST))
    assert held(cache) == GUIDS[:1]
    assert cache.counts.evictions == 0


async def test_an_answer_that_has_grown_too_large_does_not_leave_the_old_one() -> None:
    cache = cache_of(2)
    await put(cache, record(GUIDS[0]))
    await put(cache, record(GUIDS[0], 2, padding=2 * COST))
    assert held(cache) == []
    assert cache.counts.bytes == 0


async def test_an_entry_as_large_as_the_cache_fits() -> None:
    cache = cache_of(1)
    await put(cache, record(GUIDS[0]))
    assert (cache.counts.entries, cache.counts.bytes) == (1, COST)


async def test_a_new_version_takes_the_place_of_the_old_one() -> None:
    cache = cache_of(2)
    for version in (1, 2):
        await put(cache, record(GUIDS[0], version))
    assert (cache.counts.entries, cache.counts.bytes) == (1, COST)
    assert cache.counts.evictions == 0


async def test_eviction_does_not_touch_leases() -> None:
    cache = cache_of(1)
    await put(cache, record(GUIDS[0]))
    await put(cache, record(GUIDS[1]))
    lease = await cache.lease(GUIDS[0])
    await put(cache, record(GUIDS[2]))
    await cache.settle(lease, record(GUIDS[0], 2), NOW)
    assert held(cache) == GUIDS[:1]


async def test_a_flush_leaves_nothing() -> None:
    cache = cache_of(4)
    await put(cache, record(GUIDS[0]))
    await cache.lease(GUIDS[1])
    cache.flush()
    assert (cache.counts.entries, cache.counts.bytes) == (0, 0)
    assert not cache._standing
    assert not held(cache)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "hit", "get and fill", "drop", "flush"]),
            st.sampled_from(GUIDS),
            st.integers(0, 3 * COST),
            st.integers(0, 100),
        )
    )
)
async def test_it_never_holds_more_than_it_may_and_counts_right(
    steps: list[tuple[str, str, int, int]],
) -> None:
    cache = cache_of(3)
    for what, guid, padding, later in steps:
        kept = record(guid, padding=padding)
        match what:
            case "put":
                await put(cache, kept)
            case "hit":
                cache.hit(guid, NOW + later)
            case "get and fill":
                found = await cache.get(guid, NOW + later)
                if found is not None and not isinstance(found, Record):
                    await cache.fill(found, kept, NOW)
            case "drop":
                await cache.settle(await cache.lease(guid), None, NOW)
            case "flush":
                cache.flush()
        sizes = [getsizeof(answer) + ENTRY_OVERHEAD for _, answer in cache._entries.values()]
        assert cache.counts.bytes == sum(sizes) <= 3 * COST
        assert cache.counts.entries == len(sizes)
        assert not cache._standing


async def test_a_hit_is_the_finished_answer_until_its_time_is_over() -> None:
    cache = cache_of(1)
    kept = record(GUIDS[0])
    await put(cache, kept)
    assert cache.hit(GUIDS[0], NOW + 59.999) == render(entry_of(kept))
    assert cache.hit(GUIDS[0], NOW + 60) is None


async def test_what_was_put_in_while_the_clock_was_ahead_is_forgotten_with_the_jump() -> None:
    cache = cache_of(3)
    ahead = NOW + 500.0
    await cache.settle(await cache.lease(GUIDS[0]), record(GUIDS[0]), ahead)
    await put(cache, record(GUIDS[1]))
    assert cache.hit(GUIDS[0], NOW + 300)
    cache.doubt()
    assert held(cache) == []
    assert cache.counts.entries == cache.counts.bytes == 0
    await put(cache, record(GUIDS[2]))
    assert held(cache) == [GUIDS[2]]
