"""Files of records: the records read from them, and their faults."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidkeep.cli.input import items as limits
from guidkeep.cli.input.items import BrokenOff, Item
from guidkeep.cli.input.source import Source
from guidkeep.errors import StartupError
from tests.support import MARCH_2015

if TYPE_CHECKING:
    from guidkeep.cli.input.formats import Form


def read(text: bytes, form: Form | None = None) -> list[Item]:
    source = Source(io.BytesIO(text), form, clock=lambda: MARCH_2015)
    items = list(source.items())
    assert source.passed == len(text)
    return items


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("text", "items"),
    [
        (b"", []),
        (b"\n \n", []),
        (b'{"a": 1}\n\n{"b":1.10}', [Item(1, '{"a": 1}'), Item(3, '{"b":1.10}')]),
        (b'{"a": 1}\r\nno json\n', [Item(1, '{"a": 1}'), Item(2, "no json")]),
        (b" [ ] \n", []),
        (b'[{"a":\n1.10} , 5,\n\n"x"]',
         [Item(1, '{"a": 1.10}', place=1), Item(2, "5", place=2), Item(3, '"x"', place=4)]),
        (b'a:=\n"[1,\r\n2]"\n', [Item(2, '{"a":[1,  2]}')]),
        (b'guid,user\nA,Ann\n\nB,"Lee, ""Bob""\nJr"\n,\n',
         [Item(2, '{"guid":"A","user":"Ann"}'),
          Item(4, '{"guid":"B","user":"Lee, \\"Bob\\"\\nJr"}'), Item(6, "{}")]),
        (b"n:=,expire\n1.50,1h\n", [Item(2, f'{{"n":1.50,"expire":{MARCH_2015 + 3600}}}')]),
        (b"user,expire\r\n\xc3\xa9,default\r\n", [Item(2, '{"user":"é","expire":null}')]),
        (b"user\n", []),
        (b"user\n" + b"x" * 200_000, [Item(2, f'{{"user":"{"x" * 200_000}"}}')]),
        (b"n:=\n" + b"7" * 5000, [Item(2, f'{{"n":{"7" * 5000}}}')]),
        (b'[{"n":' + b"7" * 5000 + b"}]", [Item(1, f'{{"n":{"7" * 5000}}}', place=1)]),
    ],
)  # fmt: skip
def test_the_form_is_seen_from_the_first_character(
    bom: bytes, text: bytes, items: list[Item]
) -> None:
    assert read(bom + text) == items


@pytest.mark.parametrize(
    ("top", "doubtful"),
    [
        (b"guid,expire,ttl,user,note:=,of mine", []),
        (b"guid:= , user", []),
        (b"GUID,User,note", ["GUID", "User"]),
        (b"expires,user", ["expires"]),
    ],
)
def test_names_that_mean_just_what_they_say_need_no_schema_of_the_services(
    top: bytes, doubtful: list[str]
) -> None:
    source = Source(io.BytesIO(top), None, clock=lambda: MARCH_2015)
    assert source.doubtful == doubtful


@pytest.mark.parametrize(
    ("text", "item"),
    [
        (b'{"a"\xff}', Item(1, '{"a"\N{REPLACEMENT CHARACTER}}', "Byte 4 is not UTF-8.")),
        (b'{"a":1}\f', Item(1, '{"a":1}\f')),
        (b'{"a":"b\rc"}', Item(1, '{"a":"b\rc"}')),
        (b'["\xc3\xa9\xff"]', Item(1, '"é\N{REPLACEMENT CHARACTER}"', "Byte 3 is not UTF-8.", 1)),
        (b"a,b\n\xff,\n", Item(2, "\N{REPLACEMENT CHARACTER},", "column a: Byte 0 is not UTF-8.")),
        (
            b"expire\n1\xc3\n",
            Item(2, "1\N{REPLACEMENT CHARACTER}", "column expire: Byte 1 is not UTF-8."),
        ),
        (b"a,b\n1\n", Item(2, "1", "The line has 1 cells, but the first line has 2.")),
        (
            b"n:=\nx\n",
            Item(
                2,
                "x",
                "column n:=: not JSON: expected a value, found 'x' (line 1, column 1 of the cell).",
            ),
        ),
    ],
)
def test_one_record_that_can_not_be_read_is_a_fault_of_its_own(text: bytes, item: Item) -> None:
    assert read(text) == [item]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"expire\nsoon\n", "column expire: 'soon' is not a time"),
        (b"n:=\n" + b"[" * 200_000, "column n:=: not JSON: it is nested too deeply."),
    ],
    ids=["expire", "nested"],
)
def test_a_cell_that_is_no_value_is_a_fault_of_its_line(text: bytes, said: str) -> None:
    [item] = read(text)
    assert item.fault
    assert item.fault.startswith(said)


@pytest.mark.parametrize(
    ("text", "form", "said"),
    [
        (b"{}", "json", "must begin with ["),
        (b'[{"a":1}', None, "a comma or the end of the array"),
        (b"[{} {}]", None, "a comma or the end of the array"),
        (b"[{},]", None, "is not JSON"),
        (b'[{"a"', None, "is not JSON"),
        (b"[" * 100_000, None, "is not JSON"),
        (b"[] x", None, "text after the end"),
        (b"[\xff]", None, "is not JSON"),
        (b"\xff\n1\n", None, "is not UTF-8"),
        (b"a,a\n", None, "appears twice"),
        (b"a,\n", None, "must name its columns"),
        (b"", "csv", "must name its columns"),
        (b'a,b\n"x"y\n', None, "Line 2 is not CSV"),
    ],
)
def test_a_file_that_can_not_be_read_on_is_told(text: bytes, form: Form | None, said: str) -> None:
    with pytest.raises(StartupError, match=said.replace("[", r"\[")):
        read(text, form)


def test_a_byte_that_is_not_utf_8_holds_up_no_other_record() -> None:
    bad = "\N{REPLACEMENT CHARACTER}"
    for text, shown in (
        (b'{"a":1}\n{"a":"\xff"}\n{"a":2}', f'{{"a":"{bad}"}}'),
        (b'[{"a":1},{"a":"\xff"},{"a":2}]', f'{{"a":"{bad}"}}'),
        (b"a:=,b\n1,\n,\xff\n2,\n", f",{bad}"),
        (b"a:=,b\n1,\n,\xff,\n2,\n", f",{bad},"),
    ):
        before, item, after = read(text)
        assert [before.text, item.text, after.text] == ['{"a":1}', shown, '{"a":2}']
        assert [bool(one.fault) for one in (before, item, after)] == [False, True, False]


def test_a_line_that_is_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LONGEST", 10)
    items = read(b'{"a":1}\n' + b"x" * 35 + b'\n{"b":2}\n' + b"y" * 30)
    assert [item.number for item in items] == [1, 2, 3, 4]
    assert [bool(item.fault) for item in items] == [False, True, False, True]


def test_a_row_that_is_too_long_ends_it_however_many_lines_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "LONGEST", 10)
    good = b"a,b,c,d,e\n" + b"1,2,3,4,5\n" * 3
    assert len(read(good)) == 3
    for row in (b"1,2,3,4,56\n", b"," * 100, b'"1\n2\n3\n4\n5",,,,\n'):
        source = Source(io.BytesIO(good + row), "csv", clock=lambda: MARCH_2015)
        items = source.items()
        assert [next(items).number for _ in range(3)] == [2, 3, 4]
        with pytest.raises(BrokenOff, match="is not CSV: a record is longer than"):
            next(items)


def test_of_what_can_not_be_sent_only_the_beginning_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SHOWN", 3)
    assert [item.text for item in read(b"xxxxx\xff\nyyyyy", "ndjson")] == ["xxx", "yyyyy"]
    assert [item.text for item in read(b"a:=\nx,yyyy\n")] == ["x,y"]
    assert [item.text for item in read(b"n:=\nxyyyy\n")] == ["xyy"]


def test_an_element_that_is_too_long_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LONGEST", 10)
    monkeypatch.setattr(limits, "PIECE", 4)
    with pytest.raises(BrokenOff, match="longer than"):
        read(b'["' + b"x" * 100 + b'"]')


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.lists(VALUES, max_size=8), st.sampled_from([None, 1]), st.integers(1, 9))
def test_an_array_is_read_whatever_the_pieces_in_which_it_comes(
    values: list[object], indent: int | None, piece: int
) -> None:
    text = json.dumps(values, indent=indent).encode(errors="surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "PIECE", piece)
        items = read(text)
    assert [json.loads(item.text) for item in items] == values
    assert [item.number for item in items] == list(range(1, len(values) + 1))
