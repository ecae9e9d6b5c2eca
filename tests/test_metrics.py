"""The metrics: one table, numbers that are data, and the text that Prometheus reads."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from guidkeep import metrics
from guidkeep.caches import CacheCounts
from guidkeep.metrics import SECONDS, TABLE, Gathered, Metrics, Row, exposition, sums

if TYPE_CHECKING:
    from collections.abc import Iterator

ODD = ["/guid/{guid}", '} 1.0\n# HELP x "y"\n', "a,b=\\", "", " # {"]
"""Values of labels that could be mistaken for syntax."""


class Seen(NamedTuple):
    """A sample as Prometheus' own library reads it, with its help and type."""

    type: str
    help: str
    name: str
    labels: frozenset[tuple[str, str]]
    value: float


def samples(text: bytes, **more: str) -> Iterator[Seen]:
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = frozenset((sample.labels | more).items())
            yield Seen(family.type, family.documentation, sample.name, labels, sample.value)


def value_of(labels: tuple[str, ...], at: int, worker: int) -> tuple[str, ...]:
    return tuple(f"{ODD[at]}{label}{worker if label == 'kind' else ''}" for label in labels)


def filled(worker: int) -> Metrics:
    """Numbers in every metric of the table, with every character that a label may have."""
    made = Metrics()
    for row in TABLE:
        for at in range(len(ODD)):
            labels = value_of(row.labels, at, worker)
            if row.kind == "histogram":
                made.tally(row.name, *labels).observe(at * 0.003 * (worker + 1))
            elif row.labels:
                made.count(row.name, *labels, by=at + worker)
    for number, row in enumerate(watchable()):
        made.watch(row.name, partial(float, 10 * number + worker))
    return made


def watchable() -> list[Row]:
    return [row for row in TABLE if row.kind != "histogram" and not row.labels]


def by_the_library(worker: int) -> bytes:
    """The same numbers as Prometheus' own library shows them."""
    registry = CollectorRegistry()
    watched = {row.name: 10 * number + worker for number, row in enumerate(watchable())}
    for row in TABLE:
        labels = [value_of(row.labels, at, worker) for at in range(len(ODD))]
        if row.kind == "histogram":
            histogram = Histogram(
                row.name, row.help, row.labels, buckets=row.bounds, registry=registry
            )
            for at, values in enumerate(labels):
                histogram.labels(*values).observe(at * 0.003 * (worker + 1))
        elif row.kind == "counter":
            counter = Counter(row.name, row.help, row.labels, registry=registry)
            for at, values in enumerate(labels if row.labels else ()):
                counter.labels(*values).inc(at + worker)
            if not row.labels:
                counter.inc(watched[row.name])
        else:
            Gauge(row.name, row.help, registry=registry).set(watched[row.name])
    return generate_latest(registry)


def test_prometheus_reads_what_its_own_library_would_have_shown() -> None:
    ours = list(samples(exposition({None: filled(1).numbers()})))
    theirs = [each for each in samples(by_the_library(1)) if not each.name.endswith("_created")]
    assert len(ours) == len(set(ours))
    assert set(ours) == set(theirs)


def test_the_series_of_several_workers_say_whose_each_is() -> None:
    gathered: Gathered = {
        worker: json.loads(json.dumps(filled(worker).numbers())) for worker in (0, 2, 11)
    }
    found = list(samples(exposition(gathered)))
    expected = [
        sample
        for worker, numbers in gathered.items()
        for sample in samples(exposition({None: numbers}), worker=str(worker))
    ]
    assert len(found) == len(set(found)) == len(expected)
    assert set(found) == set(expected)


def test_a_metric_stands_together_under_one_head_in_the_order_of_the_table() -> None:
    gathered: Gathered = {worker: filled(worker).numbers() for worker in (0, 2)}
    lines = exposition(gathered).decode().splitlines()
    heads = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    assert heads == [row.shown for row in TABLE]
    assert [line.split()[2] for line in lines if line.startswith("# TYPE ")] == heads
    of = [next(head for head in reversed(heads) if head in line) for line in lines]
    assert [head for at, head in enumerate(of) if not at or of[at - 1] != head] == heads


def test_numbers_are_added_up_over_all_workers() -> None:
    gathered: Gathered = {}
    for worker in range(2):
        made = Metrics()
        made.count("guidkeep_bulk_lines", 200, by=3)
        made.count("guidkeep_bulk_lines", 400 + worker)
        made.watch("guidkeep_cache_hits", lambda: 5)
        for seconds in (0.0001, 9.5):
            made.tally("guidkeep_batch_seconds", "read").observe(seconds)
        gathered[worker] = made.numbers()
    assert sums(gathered, "guidkeep_bulk_lines") == {("200",): [6], ("400",): [1], ("401",): [1]}
    assert sums(gathered, "guidkeep_cache_hits") == {(): [10]}
    [(labels, [total, *counts])] = sums(gathered, "guidkeep_batch_seconds").items()
    assert labels == ("read",)
    assert math.isclose(total, 2 * 9.5001)
    assert counts == [2] + [0] * (len(SECONDS) - 1) + [2]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_row_of_the_table_is_whole(row: Row) -> None:
    assert row.name.startswith("guidkeep_")
    assert row.kind in {"counter", "gauge", "histogram"}
    assert row.shown.endswith("_total") == (row.kind == "counter")
    assert row.help[0].isupper() or row.help[0].isdigit()
    assert not row.help.endswith(".")
    assert "\n" not in row.help
    assert list(row.bounds) == sorted(row.bounds)
    assert [each.name for each in TABLE].count(row.name) == 1


def test_a_name_that_is_not_in_the_table_is_a_mistake() -> None:
    made = Metrics()
    for use in (
        lambda: made.count("guidkeep_misspelt"),
        lambda: made.tally("guidkeep_misspelt"),
        lambda: made.watch("guidkeep_misspelt", lambda: 0),
    ):
        with pytest.raises(KeyError):
            use()


def test_a_wrong_number_of_labels_raises_where_it_is_counted_and_leaves_no_series() -> None:
    made = Metrics()
    before = made.numbers()
    for use in (
        lambda: made.count("guidkeep_bulk_lines"),
        lambda: made.count("guidkeep_clock_jumps", "one too many"),
        lambda: made.tally("guidkeep_batch_seconds"),
        lambda: made.tally("guidkeep_batch_seconds", "read", "one too many"),
        lambda: made.watch("guidkeep_bulk_lines", lambda: 0),
    ):
        with pytest.raises(ValueError, match="has the labels"):
            use()
    assert made.numbers() == before


def test_a_histogram_without_labels_is_shown_as_prometheus_own_library_shows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = Row("x_seconds", "histogram", "Seconds without labels")
    monkeypatch.setattr(metrics, "TABLE", (row,))
    ours, registry = Metrics(), CollectorRegistry()
    theirs = Histogram(row.name, row.help, buckets=row.bounds, registry=registry)
    for histogram in (ours.tally(row.name), theirs):
        histogram.observe(0.3)
    expected = generate_latest(registry).splitlines()
    assert exposition({None: ours.numbers()}).splitlines() == [
        line for line in expected if b"_created" not in line
    ]


def test_each_count_of_a_cache_has_its_metric() -> None:
    names = {row.name for row in TABLE}
    assert {f"guidkeep_cache_{name}" for name in CacheCounts.__dataclass_fields__} <= names


def test_metrics_know_nothing_of_the_rooms_that_count() -> None:
    """A source of counts gives numbers, or callables."""
    used = {name for name, value in vars(metrics).items() if hasattr(value, "__module__")}
    modules = {getattr(metrics, name).__module__ or "" for name in used}
    assert {name for name in modules if name.startswith("guidkeep.")} == {"guidkeep.metrics"}
