"""Members and times on the command line."""

from __future__ import annotations

import pytest

from guidkeep.cli.members import parse_words
from guidkeep.cli.times import parse_expire, parse_ttl
from guidkeep.errors import StartupError
from guidkeep.jsontext import format_object
from tests.support import GUID, MARCH_2015

DAY = 86_400


@pytest.mark.parametrize(
    ("text", "expire"),
    [
        ("4102444800", 4102444800),
        ("0", 0),
        ("2100-01-01", 4102444800),
        ("2100-01-01T00:00:00Z", 4102444800),
        ("2100-01-01T00:00", 4102444800),
        ("2100-01-01 02:00:00+02:00", 4102444800),
        ("2100-01-01T00:00:00.9Z", 4102444800),
        ("30d", MARCH_2015 + 30 * DAY),
        ("1.5h", MARCH_2015 + 5400),
        ("90 m", MARCH_2015 + 5400),
        ("45S", MARCH_2015 + 45),
        ("default", None),
    ],
)
def test_a_time_is_written_in_many_ways(text: str, expire: int | None) -> None:
    assert parse_expire(text, now=MARCH_2015 + 0.5) == expire


@pytest.mark.parametrize(
    "text", ["", "soon", "2100-13-01", "-5", "30x", "d", "1.2.3d", "tomorrow", "10000-01-01", "³"]
)
def test_what_is_no_time_is_told_with_what_would_be(text: str) -> None:
    with pytest.raises(StartupError, match="write"):
        parse_expire(text, now=MARCH_2015)


@pytest.mark.parametrize(
    ("text", "seconds"), [("3600", 3600), ("0", 0), ("1h", 3600), ("1.5h", 5400), ("1500ms", 1)]
)
def test_a_ttl_is_seconds_or_a_duration(text: str, seconds: int) -> None:
    assert parse_ttl(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "2100-01-01", "default", "1.5", "999999d"])
def test_what_is_no_ttl_is_told_with_what_would_be(text: str) -> None:
    with pytest.raises(
        StartupError, match=r"write whole seconds as 3600|more than a hundred years"
    ):
        parse_ttl(text)


@pytest.mark.parametrize(
    ("words", "guid", "text"),
    [
        ([], None, "{}"),
        ([GUID], GUID, "{}"),
        (["user=Ann"], None, '{"user":"Ann"}'),
        ([GUID, "user=", "a:b=c:=d", "é=\n"], GUID, '{"user":"","a:b":"c:=d","é":"\\n"}'),
        (["n:=1.50", "x:=[1, 2]", "y:=null"], None, '{"n":1.50,"x":[1, 2],"y":null}'),
        (["x={}"], None, '{"x":"{}"}'),
    ],
)
def test_words_are_a_guid_and_members(words: list[str], guid: str | None, text: str) -> None:
    found = parse_words(words)
    assert (found.guid, format_object(found.members), found.reads_input) == (guid, text, False)


@pytest.mark.parametrize("word", ['seats:=5,"x":6', 'seats:=5,"seats":6', 'seats:=5}, {"x":6'])
def test_json_of_one_member_brings_no_other(word: str) -> None:
    with pytest.raises(StartupError, match="is not JSON: write seats=TEXT"):
        parse_words(["user=Ann", word])


@pytest.mark.parametrize("words", [["user=A", "user=B"], ["n=1", "-", "n:=2"]])
def test_a_name_is_given_once(words: list[str]) -> None:
    with pytest.raises(StartupError, match="is given twice: give it once"):
        parse_words(words)


def test_a_dash_is_standard_input() -> None:
    assert parse_words([GUID, "-", "a=b"]).reads_input
    assert parse_words(["-"]).guid is None
