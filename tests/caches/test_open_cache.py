from __future__ import annotations

from dataclasses import fields

import pytest

from guidkeep.caches import CacheOptions, open_cache, watch_cache
from guidkeep.caches.memory import MemoryCache
from guidkeep.caches.none import NoCache
from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics


@pytest.mark.parametrize(
    ("url", "size"),
    [
        ("memory://", 256 << 20),
        ("memory://?max_size=64KiB", 64 << 10),
        ("memory://?max_size=1000", 1000),
    ],
)
def test_a_memory_cache_is_as_large_as_its_url_says(url: str, size: int) -> None:
    cache = open_cache(url, CacheOptions(max_age=5))
    assert isinstance(cache, MemoryCache)
    assert cache._max_size == size
    assert cache._max_age == 5


def test_none_is_a_cache_too() -> None:
    assert isinstance(open_cache("none://", CacheOptions(max_age=60)), NoCache)


def test_the_metrics_show_each_count_of_a_cache_as_its_own() -> None:
    cache, metrics = open_cache("none://", CacheOptions(max_age=60)), Metrics()
    watch_cache(cache, metrics)
    expected: dict[str, list[tuple[list[str], list[float]]]] = {}
    for number, field in enumerate(fields(cache.counts), 1):
        setattr(cache.counts, field.name, number)
        expected[f"guidkeep_cache_{field.name}"] = [([], [number])]
    assert metrics.numbers().items() >= expected.items()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("valkey://localhost", "No cache is named by 'valkey://localhost'"),
        ("", "No cache is named by ''"),
        ("memory", "No cache is named by 'memory'"),
        ("memory://#?max_size=1MiB", "write %23"),
        ("none://%00", "a control character"),
        ("redis://h/0#1", "write %23"),
        ("memory://?max_age=5", "unknown parameter: max_age"),
        ("memory://?max_size=1MiB&colour=red", "unknown parameter: colour"),
        ("none://?max_size=1MiB", "unknown parameter: max_size"),
        ("memory://?max_size=lots", "'lots' is not a size"),
        ("memory://?max_size=-1", "'-1' is not a size"),
        ("memory://localhost", "names no host and no path"),
        ("none://localhost/x", "names no host and no path"),
    ],
)
def test_a_wrong_cache_url_is_refused_with_a_sentence(url: str, complaint: str) -> None:
    with pytest.raises(StartupError) as refused:
        open_cache(url.replace("://", "://ann:opensesame@"), CacheOptions(max_age=60))
    assert complaint in str(refused.value)
    assert "opensesame" not in str(refused.value)
    assert str(refused.value).endswith(".")
