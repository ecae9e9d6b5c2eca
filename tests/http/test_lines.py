"""Cuts lines out of pieces that end anywhere."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from guidkeep.jsontext.lines import Line, Lines

LIMIT = 5
texts = st.text(alphabet="ab \r\n", max_size=60).map(str.encode)


def expected(text: bytes) -> list[Line]:
    """Returns the lines that the contract demands."""
    found = []
    for number, line in enumerate(text.split(b"\n"), 1):
        content = line.removesuffix(b"\r")
        if len(content) > LIMIT:
            found.append(Line(number, None))
        elif content.strip():
            found.append(Line(number, content))
    return found


@given(texts, st.lists(st.integers(0, 60)))
def test_wherever_the_pieces_end_the_lines_are_the_same(text: bytes, cuts: list[int]) -> None:
    lines = Lines(LIMIT)
    found: list[Line] = []
    edges = [0, *sorted(cuts), len(text)]
    for begin, end in pairwise(edges):
        found += filter(None, lines.feed(text[begin:end]))
    found += filter(None, lines.end())
    assert [
        line._replace(text=line.text and line.text.removesuffix(b"\r")) for line in found
    ] == expected(text)


def test_no_more_than_a_line_is_held() -> None:
    lines = Lines(LIMIT)
    for _ in range(1000):
        assert [*lines.feed(b"x" * 1000)] == []
        assert len(lines._rest) <= LIMIT + 2
    assert [*lines.feed(b"\ny\n")] == [Line(1, None), Line(2, b"y")]


def test_a_line_is_cut_when_it_is_asked_for() -> None:
    """Lines are cut one at a time, so that no other request waits for all of them."""
    lines = Lines(LIMIT)
    cut = lines.feed(b"a\n" * 1000)
    assert lines.number == 0
    assert next(cut) == Line(1, b"a")
    assert lines.number == 1


def test_a_line_is_numbered_when_it_is_complete() -> None:
    lines = Lines(LIMIT)
    assert [*lines.feed(b"a\n\nb")] == [Line(1, b"a"), None]
    assert lines.number == 2
    assert [*lines.end()] == [Line(3, b"b")]
    assert lines.number == 3
