from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.errors import StartupError
from guidkeep.jsontext import parse_object
from guidkeep.schema import DIALECT, MetadataSchema, pointer

if TYPE_CHECKING:
    from pathlib import Path


def faults(metadata: Any, schema: Any = None) -> list[tuple[str | None, str]]:
    checked = MetadataSchema() if schema is None else MetadataSchema(schema)
    found = checked.faults(parse_object(json.dumps(metadata)))
    return [(fault.pointer, fault.detail) for fault in found]


@pytest.mark.parametrize(
    "user", ["A", "Cylance, Inc.", " a", "x" * 255, "é" * 255, "\U0001f600" * 255]
)
def test_the_shipped_schema_takes_a_user_of_1_to_255_characters(user: str) -> None:
    assert faults({"user": user}) == []


def test_the_shipped_schema_lets_any_other_member_pass() -> None:
    assert faults({"user": "Ann", "x": [{"y": None}], "": 1}) == []


@pytest.mark.parametrize("metadata", [{}, {"user": None}, {"user": ""}, {"user": " \t"}])
def test_a_user_that_is_missing_or_blank_is_a_fault_that_says_what_would_be_right(
    metadata: dict[str, Any],
) -> None:
    for place, detail in faults(metadata):
        assert place == "/user"
        assert "a string of 1 to 255 characters, not blank" in detail
    assert faults(metadata)


@pytest.mark.parametrize("user", [5, True, ["Ann"], {"name": "Ann"}, "x" * 256])
def test_a_user_that_is_no_such_string_is_a_fault(user: Any) -> None:
    assert [place for place, _ in faults({"user": user})] == ["/user"]


def test_all_faults_are_found_with_their_places() -> None:
    schema = {
        "required": ["a/b"],
        "properties": {
            "n": {"type": "integer"},
            "list": {"items": {"type": "string"}},
            "true": True,
        },
        "additionalProperties": False,
    }
    found = faults({"n": "x", "list": ["a", 1], "true": 1, "z": 1}, schema)
    assert sorted(place or "" for place, _ in found) == ["", "/a~1b", "/list/1", "/n"]


def test_an_empty_schema_takes_everything_and_false_takes_nothing() -> None:
    assert faults({}, {}) == faults({"x": 1}, True) == []
    assert faults({}, False)


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ([], "must be a JSON object, or true or false"),
        ("x", "must be a JSON object, or true or false"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "draft-07"),
        ({"type": "text"}, "not a valid one"),
        ({"pattern": "("}, "not a valid one"),
        ({"properties": {"ttl": True}}, "declares a member ttl. This name is reserved"),
        ({"required": ["ttl"]}, "declares a member ttl. This name is reserved"),
        ({"$ref": "https://example.com/schema.json"}, "not a valid one"),
    ],
)
def test_a_schema_that_is_none_is_refused_with_a_sentence(schema: Any, complaint: str) -> None:
    with pytest.raises(StartupError) as refused:
        MetadataSchema(schema)
    assert complaint in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("dialect", [DIALECT, f"{DIALECT}#"])
def test_the_dialect_may_be_named(dialect: str) -> None:
    assert faults({"user": 1}, {"$schema": dialect}) == []


def test_a_schema_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{"required": ["colour"]}')
    schema = MetadataSchema.from_file(file)
    assert [fault.pointer for fault in schema.faults({})] == ["/colour"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "Can't read the metadata schema"),
        (b"{", "is not JSON: expected a name in double quotes, found the end"),
        (b"\xff\xfe\xff", "is not UTF-8"),
        (b"[" * 100_000, "is not JSON: it is nested too deeply"),
        (b'{"maximum": 1e400}', "has a number that is not JSON, or too large"),
        (b'{"maximum": NaN}', "has a number that is not JSON, or too large"),
    ],
)
def test_a_file_that_holds_no_schema_is_refused(
    tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "schema.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StartupError, match=complaint):
        MetadataSchema.from_file(file)


LOOK_AROUND = [r"^(?=a)(a+)+\1$", "(?=.*x)y", "(?<!b)c", r"(a*)*\1b"]
LINEAR = ["^(a+)+$", "^(.*a){20}$", "(x+x+)+y"]


@pytest.mark.parametrize("size", [30, 1000, 60_000])
@pytest.mark.parametrize("pattern", LOOK_AROUND)
def test_a_pattern_that_backtracks_takes_so_many_steps_and_no_more(pattern: str, size: int) -> None:
    """No step is counted here: without a bound these would take minutes."""
    schema = {"properties": {"p": {"pattern": pattern}}}
    [(place, told)] = faults({"p": "a" * size + "!"}, schema)
    assert place == "/p"
    assert "does not match" in told or "takes too many steps: make the text shorter" in told


ENDLESS = r"(a*)*\1b"
HARD = {"pattern": ENDLESS}
POSITIONS: dict[str, Any] = {
    "itself": HARD,
    "not": {"not": HARD},
    "not not": {"not": {"not": HARD}},
    "if then": {"if": HARD, "then": False},
    "if else": {"if": HARD, "else": False},
    "if not": {"if": {"not": HARD}, "then": False},
    "anyOf": {"anyOf": [False, HARD]},
    "not anyOf": {"not": {"anyOf": [HARD, False]}},
    "not allOf": {"not": {"allOf": [HARD, True]}},
    "oneOf": {"oneOf": [HARD, True]},
    "oneOf, twice": {"oneOf": [HARD, HARD]},
    "$ref": {"$defs": {"hard": HARD}, "not": {"$ref": "#/properties/p/$defs/hard"}},
    "items": {"items": HARD},
    "not items": {"not": {"items": HARD}},
    "prefixItems": {"not": {"prefixItems": [HARD]}},
    "contains": {"contains": HARD},
    "maxContains": {"contains": HARD, "minContains": 0, "maxContains": 0},
    "unevaluatedItems": {"contains": HARD, "unevaluatedItems": False},
    "properties": {"not": {"properties": {"a": HARD}}},
    "additionalProperties": {"not": {"additionalProperties": HARD}},
    "unevaluatedProperties": {
        "anyOf": [{"properties": {"a": HARD}}, True], "unevaluatedProperties": False
    },
    "dependentSchemas": {"dependentSchemas": {"a": {"not": {"properties": {"a": HARD}}}}},
    "propertyNames": {"propertyNames": {"not": HARD}},
    "patternProperties": {"patternProperties": {ENDLESS: False}},
    "not patternProperties": {"not": {"patternProperties": {ENDLESS: False}}},
    "patternProperties as the only ones": {
        "patternProperties": {ENDLESS: True}, "additionalProperties": False
    },
}  # fmt: skip
OF_LISTS = {"items", "not items", "prefixItems", "contains", "maxContains", "unevaluatedItems"}
OF_OBJECTS = {"properties", "additionalProperties", "unevaluatedProperties", "dependentSchemas"}


@pytest.mark.parametrize("position", POSITIONS)
def test_a_pattern_at_the_end_of_its_steps_lets_nothing_through_wherever_it_stands(
    position: str,
) -> None:
    """The pattern has neither matched nor failed, so `not` and the like can't decide."""
    text = "a" * 2000
    value: Any = text
    if position in OF_LISTS:
        value = [text]
    elif position in OF_OBJECTS:
        value = {"a": text}
    elif "propert" in position.lower():
        value = {text: 1}
    told = faults({"p": value}, {"properties": {"p": POSITIONS[position]}})
    assert told
    assert any("takes too many steps: make the text shorter" in one for _, one in told)


@pytest.mark.parametrize("pattern", ["(?=.*x)y", "(?<!b)c"])
def test_the_larger_the_text_the_fewer_steps_are_taken(pattern: str) -> None:
    """Each pattern takes a step for each character, over the rest of the text."""
    schema = {"properties": {"p": {"pattern": pattern}}}
    told = [faults({"p": "a" * size}, schema)[0][1] for size in (30, 300, 60_000)]
    assert ["takes too many steps" in one for one in told] == [False, False, True]


@pytest.mark.parametrize("pattern", LINEAR)
def test_a_pattern_without_look_around_is_never_too_complex(pattern: str) -> None:
    schema = {"properties": {"p": {"pattern": pattern}}}
    for _, told in faults({"p": "a" * 60_000 + "!"}, schema):
        assert "does not match" in told


@pytest.mark.parametrize(
    ("pattern", "right", "wrong"),
    [
        (r"^(?=.*\d)(?=.*[a-z]).{8,}$", "abc1" * 15_000, "abcd" * 15_000),
        (r"^(?!admin)\w+$", "user", "admins"),
        (r"^(\w+)-\1$", "ab-ab", "ab-ac"),
    ],
)
def test_a_pattern_with_look_around_is_matched(pattern: str, right: str, wrong: str) -> None:
    schema = MetadataSchema({"properties": {"p": {"pattern": pattern}}})
    for _ in range(2):
        assert schema.faults(parse_object(json.dumps({"p": right}))) == []
        [fault] = schema.faults(parse_object(json.dumps({"p": wrong})))
        assert "does not match" in fault.detail


def test_few_faults_are_told_and_each_in_few_words() -> None:
    schema = MetadataSchema({"additionalProperties": {"type": "string"}})
    some = schema.faults(parse_object(json.dumps({f"k{n}": n for n in range(200)})))
    assert len(some) == 200
    many = schema.faults(parse_object(json.dumps({f"k{n}": n for n in range(6000)})))
    assert [fault.pointer for fault in many] == ["/k0", ""]
    assert "up to its first fault" in many[1].detail
    [long] = schema.faults(parse_object(json.dumps({"k": ["x" * 60_000]})))
    assert len(long.detail) < 400


def test_a_pointer_through_a_long_name_ends_before_it() -> None:
    schema = {"properties": {"a": {"additionalProperties": {"type": "string"}}}}
    assert faults({"a": {"n" * 60_000: 1}}, schema)[0][0] == "/a"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([], ""),
        (["user"], "/user"),
        (["a/b", "m~n"], "/a~1b/m~0n"),
        (["list", 0], "/list/0"),
        ([""], "/"),
    ],
)
def test_a_pointer_is_written_as_rfc_6901_has_it(path: list[str | int], text: str) -> None:
    assert pointer(path) == text
