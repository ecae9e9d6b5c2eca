"""The modules without a page: JSON cut without loss, edits as data, quantiles of histograms."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guidkeep.http import console as console_files
from guidkeep.http.openapi import template
from tests.console.browser import NOVEMBER_2026, opened_console, serving
from tests.support import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.console.browser import Console

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.sampled_from(['"', "\\", "{", "}", "[,]", '\\"', ":"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
OBJECTS = st.lists(st.dictionaries(st.text(), VALUES, max_size=5), min_size=20, max_size=20)


@pytest.fixture(scope="module")
def console(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One page for all tests, because the tested modules keep no state."""
    folder = tmp_path_factory.mktemp("modules")
    with (
        serving(folder, Clock(NOVEMBER_2026)) as service,
        opened_console(browser, service) as console,
    ):
        console.open("/")
        yield console


def cut(console: Console, texts: list[str]) -> list[list[list[str]]]:
    """Each object's members: the name, and the text of the value."""
    found: list[list[list[str]]] = console.page.evaluate(
        """async (texts) => {
            const { members } = await import("/console/json.js");
            return texts.map((text) => members(text).map(({ name, text: value }) => [name, value]));
        }""",
        texts,
    )
    return found


@given(objects=OBJECTS, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_an_object_is_cut_into_the_texts_of_its_members(
    console: Console, objects: list[dict[str, Any]], indent: int | None, ascii_only: bool
) -> None:
    def written(value: Any) -> str:
        return json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    found = cut(console, [written(one) for one in objects])
    for one, members in zip(objects, found, strict=True):
        assert [name for name, _ in members] == list(one)
        assert {name: json.loads(text) for name, text in members} == one


@pytest.mark.parametrize(
    "text", ["12345678901234567890123", "1.50", "-0.0", "1e400", "[1.0, {}]", '"\\u00c4\\/"', "{ }"]
)
def test_a_value_keeps_its_text(console: Console, text: str) -> None:
    assert cut(console, [f'{{ "a" : {text} , "b":{text}}}']) == [[["a", text], ["b", text]]]


def source(module: str) -> str:
    return files(console_files).joinpath(module).read_text("utf-8")


def evaluated(console: Console, module: str, call: str, **names: Any) -> Any:
    """Evaluates the expression, with the module as `m`."""
    code = f"async (given) => {{ const m = await import('/console/{module}'); return {call}; }}"
    return console.page.evaluate(code, names)


@pytest.mark.parametrize(
    ("base", "changes", "stored", "expected"),
    [
        ({"a": "1"}, {}, {"a": "1"}, []),
        ({"a": "1"}, {"a": "2"}, {"a": "1"}, [["a", "1", "2", "1", False]]),
        ({"a": "1"}, {}, {"a": "2"}, [["a", "1", "1", "2", False]]),
        ({"a": "1"}, {"a": "2"}, {"a": "3"}, [["a", "1", "2", "3", True]]),
        ({"a": "1"}, {"a": "2"}, {"a": "2"}, [["a", "1", "2", "2", False]]),
        ({"a": "1"}, {"a": None}, {"a": "2"}, [["a", "1", None, "2", True]]),
        ({"a": "1"}, {"a": "2"}, {}, [["a", "1", "2", None, True]]),
        ({}, {"a": "2"}, {"a": "3"}, [["a", None, "2", "3", True]]),
        ({}, {}, {"b": "3"}, [["b", None, None, "3", False]]),
    ],
)
def test_two_edits_clash_where_both_changed_and_differ(
    console: Console,
    base: dict[str, str],
    changes: dict[str, str | None],
    stored: dict[str, str],
    expected: list[Any],
) -> None:
    def members(texts: Any) -> list[dict[str, Any]]:
        return [{"name": name, "key": f'"{name}"', "text": text} for name, text in texts.items()]

    call = """m.compare(given.base, given.changes, given.stored)
        .map(({ name, base, mine, theirs, clash }) => [name, base, mine, theirs, clash])"""
    found = evaluated(
        console,
        "change.js",
        call,
        base=members(base),
        changes=members(changes),
        stored=members(stored),
    )
    assert found == expected


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0, 0, 0], 0.5, None),
        ([10, 0, 0], 0.5, 0.5),
        ([0, 10, 0], 0.5, 1.5),
        ([90, 10, 0], 0.99, 1.9),
        ([0, 0, 5], 0.5, 2),  # slower than all bounds
    ],
)
def test_a_quantile_lies_within_its_interval(
    console: Console, counts: list[int], share: float, expected: float | None
) -> None:
    call = "m.quantile([1, 2], given.counts, given.share)"
    found = evaluated(console, "load.js", call, counts=counts, share=share)
    assert found == (expected if expected is None else pytest.approx(expected))


def load(*requests: tuple[str, int, list[int]], hits: int = 0, misses: int = 0) -> dict[str, Any]:
    """What `/stats/service` returns after requests to routes, with statuses and durations."""
    return {
        "cache": {"hits": hits, "misses": misses},
        "requests": {
            "bounds": [1, 2],
            "kinds": [
                {"route": route, "method": "GET", "status": status, "count": sum(counts),
                 "counts": counts}
                for route, status, counts in requests
            ],
        },
    }  # fmt: skip


def test_requests_are_added_up_over_their_statuses_and_only_those_for_records(
    console: Console,
) -> None:
    stats = load(
        ("/guid/{guid}", 200, [8, 0, 0]),
        ("/guid/{guid}", 404, [3, 1, 0]),
        ("/guid/{guid}", 503, [0, 0, 2]),
        ("/export", 200, [0, 0, 1]),
        ("/stats/service", 200, [99, 0, 0]),
        hits=6,
        misses=2,
    )
    call = """(({ hits, misses, kinds }) => [hits, misses, [...kinds].map(
        ([name, { count, refused, failed, counts }]) => [name, count, refused, failed, counts],
    )])(m.reading(given.stats, 0))"""
    assert evaluated(console, "load.js", call, stats=stats) == [
        6,
        2,
        [["GET /guid/{guid}", 14, 4, 2, [11, 1, 2]], ["GET /export", 1, 0, 0, [0, 0, 1]]],
    ]


def test_the_routes_that_count_as_requests_for_records_are_those_of_the_api() -> None:
    [listed] = re.findall(r"const ROUTES = new Set\((\[.*\])\);", source("load.js"))
    tagged = {
        path
        for path, item in template()["paths"].items()
        if any("Records" in one["tags"] for one in item.values() if "tags" in one)
    }
    assert set(json.loads(listed)) == tagged


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (load(("/guid", 200, [4, 0, 4]), ("/bulk", 200, [0, 2, 0]), hits=7, misses=2),
         {"rate": 1.5, "median": 2, "slowest": 2, "hitRate": 0.75}),
        (load(("/guid", 200, [3, 0, 1]), hits=4, misses=1),
         {"rate": 0, "median": None, "slowest": None, "hitRate": None}),
        (load(("/guid", 200, [1, 0, 0]), hits=4, misses=1), None),
        (load(("/guid", 200, [3, 0, 1]), hits=0, misses=1), None),
    ],
)  # fmt: skip
def test_two_readings_tell_what_was_between_them_or_that_there_was_a_restart(
    console: Console, later: dict[str, Any], expected: dict[str, float] | None
) -> None:
    earlier = load(("/guid", 200, [3, 0, 1]), hits=4, misses=1)
    call = "m.between(m.reading(given.earlier, 0), m.reading(given.later, 4000))"
    assert evaluated(console, "load.js", call, earlier=earlier, later=later) == expected


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ("m.took(0.00005)", "50 µs"),
        ("m.took(0.0012)", "1.2 ms"),
        ("m.took(0.5)", "500 ms"),
        ("m.took(2.5)", "2.5 s"),
        ("m.took(0.9999)", "1.0 s"),
        ("m.rate(0)", "0.00"),
        ("m.rate(12.34)", "12.3"),
        ("m.rate(12345.6)", "12,346"),
        ("m.share(0.5)", "50.0 %"),
        ("m.share(0.9994)", "99.9 %"),
        ("m.share(0.9996)", "99.9 %"),  # not yet all
        ("m.share(1)", "100 %"),
        ("m.zone(1795435200)", "UTC+01:00"),
        ("m.local(1795435200)", "2026-11-23 13:00:00"),
        ("m.instant(253402300799)", "9999-12-31 23:59:59"),  # the last that a record may have
        ("m.local(253402300799)", "10000-01-01 00:59:59"),
    ],
)
def test_figures_are_shown_with_what_they_say(console: Console, call: str, shown: str) -> None:
    assert evaluated(console, "format.js", call) == shown
