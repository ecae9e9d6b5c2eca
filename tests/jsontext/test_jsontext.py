"""JSON that keeps its text, with the standard library's decoder as the oracle."""

from __future__ import annotations

import json
from contextlib import suppress
from math import isfinite
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guidkeep import jsontext
from guidkeep.errors import InvalidRequest
from guidkeep.jsontext import MAX_DEPTH, format_object, merge, parse_object
from guidkeep.jsontext.faults import explained

space = st.sampled_from(["", "", " ", "\n", "\t ", "\r\n"])
numbers = st.sampled_from(
    ["0", "-0", "1.10", "1e2", "1E+2", "-1.50e-3", "123456789012345678901234567890", "1e400"]
) | st.integers().map(str)
strings = st.sampled_from(
    ['""', '"a"', '"\\u00e9"', '"\\/"', '"\\ud83d\\ude00"', '"[{"', '"\\\\"', '"\\""']
) | st.text(st.characters(exclude_categories=["Cs"])).map(json.dumps)
scalars = numbers | strings | st.sampled_from(["true", "false", "null"])


def arrays(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(space, st.lists(inner, max_size=3), space).map(
        lambda parts: f"[{parts[0]}{','.join(parts[1])}{parts[2]}]"
    )


def objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts of objects, with white space in every allowed place."""

    def text(parts: tuple[str, list[tuple[str, str]]]) -> str:
        gap, members = parts
        joined = ",".join(f"{gap}{key}{gap}:{gap}{value}{gap}" for key, value in members)
        return f"{{{joined or gap}}}"

    by_name = st.lists(st.tuples(strings, inner), max_size=4, unique_by=lambda m: json.loads(m[0]))
    return st.tuples(space, by_name).map(text)


values = st.recursive(scalars, lambda inner: arrays(inner) | objects(inner), max_leaves=8)
object_texts = objects(values)
plain = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=2) | st.just([1, None]),
        lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)


def refused(body: bytes | str) -> str:
    with pytest.raises(InvalidRequest) as raised:
        parse_object(body)
    assert str(raised.value).endswith(".")
    return str(raised.value)


@given(object_texts)
def test_members_are_what_the_standard_library_decodes(text: str) -> None:
    members = parse_object(text.encode())
    decoded = json.loads(text)
    assert list(members) == list(decoded)
    for name, member in members.items():
        assert json.loads(member.key) == name
        assert json.loads(member.text) == decoded[name]
        if "1e400" not in member.text:
            assert member.value == decoded[name]


@given(
    st.lists(st.tuples(strings, values), max_size=5, unique_by=lambda m: json.loads(m[0])), space
)
def test_every_member_keeps_its_text(members: list[tuple[str, str]], gap: str) -> None:
    text = "{" + ",".join(f"{gap}{key}{gap}:{gap}{value}{gap}" for key, value in members) + "}"
    parsed = parse_object(text)
    assert [(member.key, member.text) for member in parsed.values()] == members
    assert format_object(parsed) == "{" + ",".join(f"{k}:{v}" for k, v in members) + "}"


@given(st.text('{}[]:,"\\ \n0123456789.eE+-truefalsnu\u00e9\x00', max_size=30))
@example('{"a":1,}')
@example('{"a":01}')
@example('{"a":1.}')
@example('{"a":"\x00"}')
@example("{'a':1}")
@example('\ufeff{"a":1}')
@example('{"a":1} x')
def test_what_the_standard_library_refuses_is_refused_and_the_rest_is_read(text: str) -> None:
    try:
        decoded = json.loads(text)
    except ValueError:
        refused(text.encode())
        return
    if not isinstance(decoded, dict):
        assert "must be a JSON object" in refused(text)
        return
    try:
        members = parse_object(text)
    except InvalidRequest as error:
        assert "twice" in str(error) or "half" in str(error)  # noqa: PT017 - both may be right
    else:
        assert {name: member.value for name, member in members.items()} == decoded


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"\xff{}", "must be UTF-8 (RFC 8259); byte 0 is not."),
        ('{"a":1}'.encode("utf-16"), "must be UTF-8"),
        (b'{"expire": "1427822745",\n}', "not JSON: a comma before '}' is one too many: remove it"),
        (b'{"a": [1, ]}', "a comma before ']' is one too many"),
        (b'{"a"\n 1}', "line 2, column 2"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": [-Infinity]}', "-Infinity is not JSON"),
        (b'{"a": 1, "b": 2, "a": 3}', 'The member "a" occurs twice'),
        (b'{"a": 1, "\\u0061": 3}', 'The member "a" occurs twice'),
        (b'{"x": [{"a": 1, "a": 1}]}', 'The member "a" occurs twice'),
        (b'{"a": "\\ud800"}', "\\ud800 is half of a surrogate pair"),
        (b'{"\\udc00": 1}', "\\udc00 is half of a surrogate pair"),
        (b'{"a": ["\\ud800x"]}', "half of a surrogate pair"),
        (b"[]", "it is an array"),
        (b'"a"', "it is a string"),
        (b"1", "it is a number"),
        (b"1.5", "it is a number"),
        (b"true", "it is a boolean"),
        (b"null", "it is null"),
    ],
)
def test_what_is_no_object_is_refused_with_what_would_be_right(body: bytes, complaint: str) -> None:
    assert complaint in refused(body)


@pytest.mark.parametrize(
    ("text", "explanation"),
    [
        ("\n nul", "expected a value, found 'n' (line 2, column 2)"),
        ("  ", "expected a value, found the end (line 1, column 3)"),
        ('{"a":1} x', "expected nothing more, found 'x' (line 1, column 9)"),
        ('{"a":1}}', "expected nothing more, found '}' (line 1, column 8)"),
        ('"a" 5', "expected nothing more, found '5' (line 1, column 5)"),
        ('{"a"\n 1}', "expected ':' after the name, found '1' (line 2, column 2)"),
        ("{'a':1}", """expected a name in double quotes, found "'" (line 1, column 2)"""),
        ('{"a":1,\r\n', "expected a name in double quotes, found the end (line 2, column 1)"),
        ('\ufeff{"a":1}', "expected a value, found U+FEFF (line 1, column 1)"),
        ('{"a":nul}', "expected a value, found 'n' (line 1, column 6)"),
        ('{"a":[1,,2]}', "expected a value, found ',' (line 1, column 9)"),
        ('{"a":01}', "expected ',' or '}', found '1' (line 1, column 7)"),
        ('{"a":{"b":[]} "c":2}', "expected ',' or '}', found '\"' (line 1, column 15)"),
        ('{"a":[{}, {"[":1} 2]}', "expected ',' or ']', found '2' (line 1, column 19)"),
        ('{"a":"x', "the string that begins here has no closing quote (line 1, column 6)"),
        ('{"a":"\\u12', "after \\u there must be four hexadecimal digits (line 1, column 7)"),
        ('{"a":"\\u12zz"}', "after \\u there must be four hexadecimal digits (line 1, column 7)"),
        (
            '{"a":"C:\\x"}',
            'a backslash must be written \\\\, unless one of "\\/bfnrtu follows it (line 1, column 9)',  # noqa: E501 - the whole sentence
        ),
        (
            '{"a":"b\tc"}',
            "in a string U+0009 must be escaped, as in \\n or \\u001f (line 1, column 8)",
        ),
    ],
)
def test_what_is_not_json_is_explained_with_its_place(text: str, explanation: str) -> None:
    assert refused(text) == f"The body is not JSON: {explanation}."


@pytest.mark.parametrize("stops_at", [6, 8])
def test_the_explanation_depends_neither_on_the_decoders_words_nor_on_where_it_stops(
    stops_at: int,
) -> None:
    error = json.JSONDecodeError("Whatever it says", '{"a":1, }', stops_at)
    assert explained(error) == "a comma before '}' is one too many: remove it (line 1, column 9)"


@given(object_texts, st.data())
def test_any_cut_of_an_object_is_explained(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    cut = text[:at] + data.draw(st.sampled_from(["", *"{}[]:,\"\\\n0x'"]))
    with suppress(InvalidRequest):
        parse_object(cut)


def nested(levels: int, bracket: str) -> str:
    """A text that is `levels` deep, its own object included."""
    if bracket == "[":
        return '{"a":' + "[" * (levels - 1) + "]" * (levels - 1) + "}"
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


@pytest.mark.parametrize("bracket", ["[", "{"])
def test_nesting_is_bounded(bracket: str) -> None:
    assert parse_object(nested(MAX_DEPTH, bracket))
    for levels in (MAX_DEPTH + 1, 500, 100_000):
        assert "nested too deeply: at most 32" in refused(nested(levels, bracket))


def test_brackets_side_by_side_and_in_strings_do_not_nest() -> None:
    many = ",".join(["[[]]"] * 100)
    text = f'{{"a":[{many}],"b":"{"[{" * 100}","c":"\\"[[["}}'
    assert list(parse_object(text)) == ["a", "b", "c"]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 5000, "-" + "9" * 5000])
def test_a_number_beyond_a_doubles_range_keeps_its_digits_and_compares_as_the_largest(
    number: str,
) -> None:
    member = parse_object(f'{{"n":{number}}}')["n"]
    assert member.text == number
    assert isfinite(member.value)
    assert abs(member.value) > 1e308
    assert (member.value < 0) == number.startswith("-")


def rfc_7396(target: Any, patch: Any) -> Any:
    """MergePatch as in RFC 7396 §2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = rfc_7396(merged.get(name), value)
    return merged


@given(plain, plain)
def test_merging_is_rfc_7396(target: dict[str, Any], patch: dict[str, Any]) -> None:
    old, new = parse_object(json.dumps(target)), parse_object(json.dumps(patch))
    merged = merge(old, new)
    assert json.loads(format_object(merged)) == rfc_7396(target, patch)
    assert {name: member.value for name, member in merged.items()} == rfc_7396(target, patch)
    assert (old, new) == (parse_object(json.dumps(target)), parse_object(json.dumps(patch)))


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ('{"a" : 1.10, "b":2}', '{"b":3.0}', '{"a":1.10,"b":3.0}'),
        ('{"a":{"x":1.10,"y":2}}', '{"a":{"y":3e0}}', '{"a":{"x":1.10,"y":3e0}}'),
        ('{"a":1}', '{"a":{"x":null,"y":1.0}}', '{"a":{"y":1.0}}'),
        ('{"\\u0061":{"x":1}}', '{"a":{"y":2}}', '{"\\u0061":{"x":1,"y":2}}'),
        ('{"a": {"b": {"x": 1.50}}}', '{"a":{"b":{"x":1.50}}}', '{"a":{"b": {"x": 1.50}}}'),
        ('{"a":{"x": 1.50}}', '{"a":{"x":1.5}}', '{"a":{"x":1.5}}'),
        ('{"a":[1,null]}', '{"a":[ null ]}', '{"a":[ null ]}'),
        ('{"a":1}', '{"a":null,"b":null}', "{}"),
    ],
)
def test_merging_keeps_the_text_of_what_it_does_not_merge(
    target: str, patch: str, merged: str
) -> None:
    assert format_object(merge(parse_object(target), parse_object(patch))) == merged


def comb(levels: int, per_level: int, leaf: str) -> str:
    """An object that nests so deep under `a`, with an array of that size at each level."""
    text = leaf
    for _ in range(levels):
        text = f'{{"t":["{"x" * per_level}"],"a":{text}}}'
    return text


def scanned_by_merge(target: str, patch: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of characters that a merge of the two scans."""
    old, new = parse_object(target), parse_object(patch)
    scanned = 0
    scan = jsontext._scan_once

    def counting(text: str, at: int) -> Any:
        nonlocal scanned
        value, end = scan(text, at)
        scanned += end - at
        return value, end

    with monkeypatch.context() as patched:
        patched.setattr(jsontext, "_scan_once", counting)
        merged = merge(old, new)
    assert json.loads(format_object(merged)) == rfc_7396(json.loads(target), json.loads(patch))
    return scanned


@pytest.mark.parametrize("levels", [1, 5, 30])
@pytest.mark.parametrize("leaf", ['{"x":2}', '{"x":null}', '{"y":[1]}', "null"])
def test_a_merge_scans_each_text_at_most_once_however_deep_it_goes(
    levels: int, leaf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = comb(levels, 60_000 // levels, '{"x":1}')
    patch = leaf
    for _ in range(levels):
        patch = f'{{"a":{patch}}}'
    assert scanned_by_merge(target, patch, monkeypatch) <= len(target) + len(patch)
    both = scanned_by_merge(target, comb(levels, 60_000 // levels, leaf), monkeypatch)
    assert both <= 2 * len(target)


@pytest.mark.parametrize("escape", ["\\\\", '\\"', '\\\\\\"', "\\u005b", "é[[", "{{{"])
def test_brackets_after_escapes_in_strings_are_told_apart(escape: str) -> None:
    inside = f'{{"{escape}[":["{escape}{"[" * 40}"],"b":{"[" * 31}{"]" * 31}}}'
    assert len(parse_object(inside)) == 2
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        parse_object(inside.replace("[[]]", "[[[]]]"))


@given(object_texts)
def test_the_depth_is_that_of_the_values(text: str) -> None:
    def depth(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value
        is_one = isinstance(value, dict | list)
        return 1 + max(map(depth, inner), default=0) if is_one else 0

    deep = '{"a":' * 28 + text + "}" * 28
    if depth(json.loads(deep)) > MAX_DEPTH:
        assert "nested too deeply" in refused(deep)
    else:
        assert parse_object(deep)
