from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidkeep.errors import StartupError
from guidkeep.units import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("5s", 5),
        ("5", 5),
        ("1m", 60),
        ("1.5h", 5400),
        ("30d", 30 * 86_400),
        (" 2 H ", 7200),
        ("0", 0),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("65536", 65_536),
        ("64KiB", 65_536),
        ("64 kib", 65_536),
        ("256MiB", 256 << 20),
        ("0.5GiB", 1 << 29),
        ("7B", 7),
        ("0", 0),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "d", "5 fortnights", "-5s", "1e3s", "5s5", "5,5s", "1..5s", "nan", "inf", "\u0665s"],
)
def test_what_is_no_duration_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(StartupError, match=r"is not a duration; write 500ms, 5s, 1m, 12h or 30d\."):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "KiB", "64KB", "64 K", "-1", "1e3", "lots", "5s"])
def test_what_is_no_size_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(StartupError, match=r"is not a size; write 65536, 64KiB, 256MiB or 1GiB\."):
        parse_size(text)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_duration, parse_size):
        try:
            assert parse(text) >= 0
        except StartupError as error:
            assert repr(text) in str(error)  # noqa: PT017 - either may happen
