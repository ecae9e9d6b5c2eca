"""The metrics: one table, the numbers behind it, and the text that Prometheus reads.

`TABLE` names every metric. To count, other modules call `Metrics.tally`, `count` or `watch` with a
name from the table. No label ever holds a GUID, a user or an address.

Counting a request has to cost next to nothing, since a cache hit takes 10 µs in all. So a `Tally`
is plain integers. Read out, the numbers are data (`Numbers`): workers send them to each other as
JSON, and `GET /stats` adds them up. They become text only when Prometheus asks.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


class Row(NamedTuple):
    """A metric.

    Attributes:
        name: its name; a counter's is shown with `_total`.
        kind: `counter`, `gauge` or `histogram`.
        help: one line that says what it is, for Prometheus and the docs.
        labels: the names of its labels.
        notes: what the docs say beyond that, as Markdown.
        bounds: the upper bounds of a histogram's buckets, without the last one, which has none.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    notes: str = ""
    bounds: tuple[float, ...] = SECONDS

    @property
    def shown(self) -> str:
        """The name that Prometheus sees."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


TABLE = (
    Row(
        "guidkeep_request_seconds",
        "histogram",
        "Duration of requests in seconds",
        ("route", "method", "status"),
        "`route` is a template such as `/guid/{guid}`; `(none)` is a path without a route, or a "
        "request that was never complete. `method` is `other` where the route does not know it; "
        "`OPTIONS` is a preflight from an allowed origin.",
    ),
    Row("guidkeep_connections", "gauge", "Open connections"),
    Row(
        "guidkeep_refused_connections",
        "counter",
        "Connections beyond a limit, by the limit",
        ("reason",),
        "`connections` is `--max-connections`, `client` is `--max-connections-per-client`; "
        "`guests`: a connection that waited to ask for health gave way to another; "
        "`descriptors`: no more files can be opened. The count includes connections beyond a limit "
        "that were served because they asked for health.",
    ),
    Row("guidkeep_request_bytes", "gauge", "Bytes of --max-memory that requests hold"),
    Row(
        "guidkeep_request_evictions",
        "counter",
        "Requests that were dropped to free memory, incomplete or with a response not read",
    ),
    Row("guidkeep_cache_hits", "counter", "Reads served from the cache"),
    Row(
        "guidkeep_cache_misses",
        "counter",
        "Reads that went to the store, those of writes included",
    ),
    Row("guidkeep_cache_evictions", "counter", "Entries dropped to make room"),
    Row(
        "guidkeep_cache_entries",
        "gauge",
        "Entries in the memory cache",
        notes="0 for Redis, which counts them itself.",
    ),
    Row("guidkeep_cache_bytes", "gauge", "Bytes of those entries"),
    Row(
        "guidkeep_cache_failures",
        "counter",
        "Failures of a cache on another machine",
        ("kind",),
        "`connect`: no connection, or the server can't be used as it is. `lost`: a connection in "
        "use broke, or was cut because no reply came in time. `refused`: the server reported that "
        "it can't do the operation (read-only, loading its files, no right); the connection is "
        "then `lost` too.",
    ),
    Row(
        "guidkeep_cache_unsettled",
        "gauge",
        "GUIDs that this node wrote and that are still to be dropped in the cache",
    ),
    Row(
        "guidkeep_cache_unreachable",
        "gauge",
        "Servers of the cache that are not used at the moment",
    ),
    Row(
        "guidkeep_store_seconds",
        "histogram",
        "Duration of operations of the store in seconds, including the wait for their batch",
        ("operation", "outcome"),
        "`operation` is `get`, `insert`, `replace`, `delete`, `page`, `count`, `purge` or `ping`; "
        "`outcome` is `ok` or `failed`.",
    ),
    Row(
        "guidkeep_batch_size",
        "histogram",
        "Operations in one batch, to the store or to a cache on another machine",
        ("kind",),
        "`kind` is `write`, `read`, `list`, `count` or `clock`; of Redis: `cache`. Its former name "
        "had `group` in place of `batch`.",
        SIZES,
    ),
    Row(
        "guidkeep_batch_seconds",
        "histogram",
        "Duration of a batch in seconds",
        ("kind",),
        "For `write`, including the flush to disk. Its former name had `group` in place of "
        "`batch`.",
    ),
    Row(
        "guidkeep_bulk_lines",
        "counter",
        "Lines of bulk requests, by the status of their responses",
        ("status",),
        "`guidkeep_request_seconds` counts such a request as one, however many lines it has.",
    ),
    Row("guidkeep_swept_records", "counter", "Expired records that were deleted"),
    Row(
        "guidkeep_clock_jumps",
        "counter",
        "Times that the machine's clock was set",
        notes="[As far as Guidkeep noticed](#expiry-and-the-clock).",
    ),
    Row(
        "guidkeep_clock_doubted",
        "gauge",
        "1 while the clock is not trusted after a jump, and nothing is deleted",
    ),
)
"""Every metric, in the order in which they are shown."""

Numbers = dict[str, list[tuple[list[str], list[float]]]]
"""The series of each metric, by its name in the table: the values of the labels, and the numbers. A
counter and a gauge have one number. A histogram has the sum of its values, then the count of each
bucket, not cumulated."""

Gathered = dict[int | None, Numbers]
"""The numbers of each worker, by the worker's number; None is the only process of a node."""


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


_Value = TypeVar("_Value")


class _Series(dict[tuple[object, ...], _Value]):
    """The series of one metric, by the values of its labels; a series begins at its first use.

    A series with a wrong number of labels raises ValueError at once. Found only when the metrics
    are read, it would make the whole of `/metrics` fail.
    """

    def __init__(self, row: Row, begin: Callable[[], _Value]) -> None:
        self._row = row
        self._begin = begin

    def __missing__(self, values: tuple[object, ...]) -> _Value:
        names = self._row.labels
        if len(values) != len(names):
            raise ValueError(f"{self._row.name} has the labels {names}; {values} are not theirs.")
        self[values] = begun = self._begin()
        return begun


class Metrics:
    """The numbers of one process."""

    def __init__(self) -> None:
        self._tallies = {
            row.name: _Series(row, partial(Tally, row.bounds))
            for row in TABLE
            if row.kind == "histogram"
        }
        self._counts = {row.name: _Series(row, float) for row in TABLE if row.kind != "histogram"}
        for row in TABLE:
            if row.kind != "histogram" and not row.labels:
                self.count(row.name, by=0)
        self._watched: dict[str, Callable[[], float]] = {}

    def tally(self, name: str, *labels: object) -> Tally:
        """The tally of a histogram's series; it begins when it is asked for."""
        return self._tallies[name][labels]

    def count(self, name: str, *labels: object, by: int = 1) -> None:
        """Adds to a counter."""
        self._counts[name][labels] += by

    def watch(self, name: str, number: Callable[[], float]) -> None:
        """Has a metric without labels show the number that `number` returns when asked."""
        self.count(name, by=0)
        self._watched[name] = number

    def observe_batch(self, kind: str) -> Callable[[int, float], None]:
        """What a batcher calls after each batch, with its size and its seconds."""
        size = self.tally("guidkeep_batch_size", kind)
        seconds = self.tally("guidkeep_batch_seconds", kind)

        def observe(length: int, took: float) -> None:
            size.observe(length)
            seconds.observe(took)

        return observe

    def numbers(self) -> Numbers:
        """All numbers as they are now."""
        for name, number in self._watched.items():
            self._counts[name][()] = number()
        counts = {
            name: [([*map(str, labels)], [number]) for labels, number in series.items()]
            for name, series in self._counts.items()
        }
        tallies = {
            name: [
                ([*map(str, labels)], [tally.total, *tally.counts])
                for labels, tally in series.items()
            ]
            for name, series in self._tallies.items()
        }
        return counts | tallies

    async def gather(self) -> Gathered:
        """The numbers of this process as those of all workers, where there is only one."""
        return {None: self.numbers()}


def sums(gathered: Gathered, name: str) -> dict[tuple[str, ...], list[float]]:
    """The numbers of one metric, added up over all workers, by the values of its labels."""
    found: dict[tuple[str, ...], list[float]] = {}
    for numbers in gathered.values():
        for labels, values in numbers[name]:
            key = tuple(labels)
            before = found.get(key)
            found[key] = list(map(sum, zip(before, values, strict=True))) if before else values
    return found


def exposition(gathered: Gathered) -> bytes:
    """The numbers in Prometheus' text format; with several workers `worker` is a label of each.

    Series of several workers are not added up: a sum would fall when a worker is replaced, and
    Prometheus takes a counter that falls for one that began again at zero.
    """
    lines: list[str] = []
    for row in TABLE:
        lines += (f"# HELP {row.shown} {row.help}\n", f"# TYPE {row.shown} {row.kind}\n")
        for worker, numbers in gathered.items():
            own = {} if worker is None else {"worker": str(worker)}
            for values, series in numbers[row.name]:
                labels = dict(sorted(zip(row.labels, values, strict=True)))
                lines += _lines(row, own | labels, series)
    return "".join(lines).encode()


def _lines(row: Row, labels: Mapping[str, str], series: Sequence[float]) -> Iterator[str]:
    if row.kind != "histogram":
        yield f"{row.shown}{_braces(labels)} {float(series[0])}\n"
        return
    total, *counts = series
    bounds = (*map(str, row.bounds), "+Inf")
    for bound, count in zip(bounds, accumulate(counts), strict=True):
        yield f"{row.name}_bucket{_braces({**labels, 'le': bound})} {float(count)}\n"
    yield f"{row.name}_count{_braces(labels)} {float(sum(counts))}\n"
    yield f"{row.name}_sum{_braces(labels)} {total}\n"


def _braces(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
