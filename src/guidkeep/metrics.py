"""What Guidkeep counts, for Prometheus. No label ever holds a GUID, a user or an address.

The library's objects cost a microsecond an observation, a tenth of all that a cache hit costs.
What is observed with each request is therefore counted in a `Tally`, which is plain integers, and
handed to the library when it is asked for them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from guidkeep.caches import Cache
    from guidkeep.registry.clock import ClockWatch

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, for what nobody asks

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


class Tally:
    """How many values there were, by size, and their sum; `bounds` are the buckets' upper ends."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Counts one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Tallies(Collector):
    """A histogram: tallies by the values of its labels."""

    def __init__(
        self, name: str, about: str, labels: Sequence[str], bounds: Sequence[float] = SECONDS
    ) -> None:
        self._name = name
        self._about = about
        self._labels = labels
        self.of: dict[tuple[object, ...], Tally] = defaultdict(lambda: Tally(bounds))
        """Each tally, by the values of its labels; it begins when it is asked for."""

    def collect(self) -> Iterable[Metric]:
        """What the library wants to know."""
        family = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        for values, tally in list(self.of.items()):
            buckets, running = [], 0
            for bound, counted in zip((*tally.bounds, "+Inf"), tally.counts, strict=True):
                running += counted
                buckets.append((str(bound), float(running)))
            family.add_metric(list(map(str, values)), buckets, tally.total)
        yield family


class Metrics:
    """All of one server's figures."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Tallies(
            "guidkeep_request_seconds",
            "Requests by route template, method and status",
            ["route", "method", "status"],
        )
        self.swept = Counter(
            "guidkeep_swept_records", "Expired records reclaimed", registry=self._registry
        )
        self._store_seconds = Tallies(
            "guidkeep_store_seconds",
            "Store operations, waiting for their batch included",
            ["operation", "outcome"],
        )
        self._batch_sizes = Tallies(
            "guidkeep_batch_size",
            "Operations that shared one batch of the store, or of a cache on another machine",
            ["kind"],
            SIZES,
        )
        self._batch_seconds = Tallies("guidkeep_batch_seconds", "Those batches", ["kind"])
        self._cache_failures = Counter(
            "guidkeep_cache_failures",
            "Times that a cache on another machine could not be asked, or failed",
            ["kind"],
            registry=self._registry,
        )
        self._lines = Counter(
            "guidkeep_bulk_lines",
            "Lines of bulk requests by the status of their answers",
            ["status"],
            registry=self._registry,
        )
        self._refused_connections = Counter(
            "guidkeep_refused_connections",
            "Connections beyond a limit, by the limit",
            ["reason"],
            registry=self._registry,
        )
        self._memory_figures = _MemoryFigures()
        self._registry.register(self._memory_figures)
        for tallies in (
            self._requests,
            self._store_seconds,
            self._batch_sizes,
            self._batch_seconds,
        ):
            self._registry.register(tallies)

    def requests(self, route: str, method: str, status: int) -> Tally:
        """Where requests of that kind are counted; `route` is the template of its address."""
        return self._requests.of[route, method, status]

    def observe_store(self, operation: str, outcome: str, seconds: float) -> None:
        """Counts one operation of the store; `outcome` is "ok" or "failed"."""
        self._store_seconds.of[operation, outcome].observe(seconds)

    def observe_batch(self, kind: str) -> Callable[[int, float], None]:
        """What a store calls after each batch, with its size and its seconds."""
        size, seconds = self._batch_sizes.of[kind,], self._batch_seconds.of[kind,]

        def observe(length: int, took: float) -> None:
            size.observe(length)
            seconds.observe(took)

        return observe

    def count_cache_failure(self, kind: str) -> None:
        """Counts a failure of a cache on another machine."""
        self._cache_failures.labels(kind).inc()

    def count_line(self, status: int) -> None:
        """Counts a line of a bulk request."""
        self._lines.labels(str(status)).inc()

    def count_refused_connection(self, reason: str) -> None:
        """Counts a connection that is refused, or answered nothing but health."""
        self._refused_connections.labels(reason).inc()

    def watch_memory(self, memory: Budget) -> None:
        """Shows what requests hold of the budget."""
        self._memory_figures.memory = memory

    def watch_cache(self, cache: Cache) -> None:
        """Shows that cache's figures."""
        self._registry.register(_CacheFigures(cache))

    def watch_connections(self, count: Callable[[], int]) -> None:
        """Shows how many connections are open."""
        self._registry.register(_Connections(count))

    def watch_clock(self, watch: ClockWatch) -> None:
        """Shows what became of the clock."""
        self._registry.register(_Clock(watch))

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)

    async def tell(self) -> bytes:
        """The same, for whoever would wait for those of other processes."""
        return self.text()


class Budget(Protocol):
    """What is known of a budget of bytes."""

    @property
    def used(self) -> int:
        """Bytes that are held."""
        ...

    @property
    def evictions(self) -> int:
        """How often something was thrown away to make room."""
        ...


class _MemoryFigures(Collector):
    memory: Budget | None = None

    def collect(self) -> Iterable[Metric]:
        memory = self.memory
        about = "Bytes that requests hold of --max-memory"
        yield GaugeMetricFamily("guidkeep_request_bytes", about, value=memory.used if memory else 0)
        about = "Requests that were thrown away, not complete or not read, to make room"
        evictions = memory.evictions if memory else 0
        yield CounterMetricFamily("guidkeep_request_evictions", about, value=evictions)


class _CacheFigures(Collector):
    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def collect(self) -> Iterable[Metric]:
        figures = self._cache.figures
        for name, about, value in (
            ("hits", "Reads answered from the cache", figures.hits),
            ("misses", "Reads that had to ask the store", figures.misses),
            ("evictions", "Entries dropped to make room", figures.evictions),
        ):
            yield CounterMetricFamily(f"guidkeep_cache_{name}", about, value=value)
        yield GaugeMetricFamily("guidkeep_cache_entries", "Entries", value=figures.entries)
        yield GaugeMetricFamily("guidkeep_cache_bytes", "Bytes they take", value=figures.bytes)
        for name, about, value in (
            ("unsettled", "GUIDs still to be dropped in the cache", figures.unsettled),
            ("unreachable", "Servers of the cache that are not asked now", figures.unreachable),
        ):
            yield GaugeMetricFamily(f"guidkeep_cache_{name}", about, value=value)


class _Connections(Collector):
    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("guidkeep_connections", "Open connections", value=self._count())


class _Clock(Collector):
    def __init__(self, watch: ClockWatch) -> None:
        self._watch = watch

    def collect(self) -> Iterable[Metric]:
        jumps, doubted = self._watch.jumps, int(self._watch.is_doubted)
        yield CounterMetricFamily(
            "guidkeep_clock_jumps", "Times that the machine's clock was set", value=jumps
        )
        yield GaugeMetricFamily(
            "guidkeep_clock_doubted", "1 while it is not believed after that", value=doubted
        )
