"""The modules without a page: JSON cut without loss, edits as data, quantiles of histograms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    ("buckets", "share", "expected"),
    [
        ([[1, 0], [2, 0]], 0.5, None),
        ([[1, 10], [2, 10]], 0.5, 0.5),
        ([[1, 0], [2, 10]], 0.5, 1.5),
        ([[1, 90], [2, 100]], 0.99, 1.9),
    ],
)
def test_a_quantile_lies_within_its_bucket(
    console: Console, buckets: list[list[float]], share: float, expected: float | None
) -> None:
    found = evaluated(
        console,
        "metrics.js",
        "m.quantile(new Map(given.buckets), given.share)",
        buckets=buckets,
        share=share,
    )
    assert found == (expected if expected is None else pytest.approx(expected))


def test_what_is_slower_than_all_bounds_is_told_as_the_last_of_them(console: Console) -> None:
    call = "m.quantile(new Map([[1, 0], [Infinity, 5]]), 0.5)"
    assert evaluated(console, "metrics.js", call) == 1


def test_the_figures_of_several_workers_are_added_up(console: Console) -> None:
    text = "\n".join(
        f'guidkeep_{name}{{worker="{worker}"{labels}}} {value}'
        for worker in range(2)
        for name, labels, value in (
            ("cache_hits_total", "", 3.0),
            ("cache_misses_total", "", 1.0),
            ("request_seconds_count", ',method="GET",route="/guid/{guid}",status="200"', 4.0),
            ("request_seconds_count", ',method="GET",route="/guid/{guid}",status="404"', 2.0),
            ("request_seconds_count", ',method="GET",route="/guid/{guid}",status="503"', 1.0),
            ("request_seconds_count", ',method="GET",route="/metrics",status="200"', 99.0),
        )
    )
    call = """(({ hits, misses, kinds }) => [hits, misses, [...kinds].map(
        ([name, { count, refused, failed }]) => [name, count, refused, failed],
    )])(m.reading(given.text, 0))"""
    found = evaluated(console, "metrics.js", call, text=text)
    assert found == [6, 2, [["GET /guid/{guid}", 14, 4, 2]]]


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
