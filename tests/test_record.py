from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidkeep.errors import InvalidRequest
from guidkeep.record import (
    LAST_EXPIRE,
    Record,
    guid_fault,
    instant,
    is_guid,
    new_guid,
    parse_change,
    parse_expire,
    parse_seconds,
    share_of,
    shortened,
)
from tests.support import GUID, MARCH_2015

NOW = MARCH_2015
RECORD = Record(GUID, NOW + 100, 7, '{"user":"Ann"}')


def test_a_record_is_one_flat_object_with_guid_and_expire_first() -> None:
    assert RECORD.json == f'{{"guid":"{GUID}","expire":"{NOW + 100}","user":"Ann"}}'
    assert Record(GUID, 5, 7, "{}").json == f'{{"guid":"{GUID}","expire":"5"}}'


def test_a_record_is_valid_until_the_second_of_its_expire() -> None:
    assert RECORD.is_live(NOW + 99.999)
    assert not RECORD.is_live(NOW + 100)


@pytest.mark.parametrize(
    ("metadata", "user"),
    [
        ('{"user":"Ann"}', "Ann"),
        ('{"user":"","x":1}', ""),
        ('{"user":"Zoë, Inc.","users":"Bob"}', "Zoë, Inc."),
        ('{"user":"\\u00e9"}', "é"),
        ('{"user":"a \\"b\\" c"}', 'a "b" c'),
        ('{"user":"a\\\\","x":"y"}', "a\\"),
        ('{"x":{"user":"Bob"},"user":"Ann"}', "Ann"),
        ('{"\\u0075ser":"Ann"}', "Ann"),
        ('{"user":5}', None),
        ("{}", None),
    ],
)
def test_the_user_is_the_metadatas_where_that_is_a_string(metadata: str, user: str | None) -> None:
    assert Record(GUID, 5, 7, metadata).user == user


def test_generated_guids_are_of_version_4_and_not_alike() -> None:
    guids = {new_guid() for _ in range(1000)}
    assert len(guids) == 1000
    for guid in guids:
        assert is_guid(guid)
        assert guid[12] == "4"
        assert guid[16] in "89AB"


@given(st.binary(min_size=16, max_size=16))
def test_any_32_upper_case_hexadecimal_digits_are_a_guid(raw: bytes) -> None:
    assert guid_fault(raw.hex().upper()) is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GUID.lower(), f"GUIDs are upper-case: write {GUID}."),
        ("9094e4c9-80c7-4043-a4b5-86b420e69ddf", f"no dashes or braces: write {GUID}."),
        (f"{{{GUID}}}", f"no dashes or braces: write {GUID}."),
        ("", "'' is not."),
        (GUID[1:], "32 upper-case hexadecimal digits"),
        (GUID + "0", "32 upper-case hexadecimal digits"),
        (GUID + "\n", "32 upper-case hexadecimal digits"),
        ("G" * 32, "32 upper-case hexadecimal digits"),
        ("\uff10" * 32, "32 upper-case hexadecimal digits"),
        ("x" * 1000, "…"),
        (5, "a string of 32"),
        (None, "a string of 32"),
        (["9" * 32], "a string of 32"),
    ],
)
def test_anything_else_is_no_guid_and_the_fault_says_what_would_be(
    text: object, complaint: str
) -> None:
    fault = guid_fault(text)
    assert fault is not None
    assert complaint in fault


@given(st.text())
def test_a_guids_fault_is_always_a_sentence(text: str) -> None:
    fault = guid_fault(text)
    assert fault is None or fault.endswith(".")


@pytest.mark.parametrize("value", [NOW + 1, str(NOW + 1), f"000{NOW + 1}"])
def test_expire_is_a_string_of_digits_or_an_integer(value: object) -> None:
    assert parse_expire(value, now=NOW) == NOW + 1


@pytest.mark.parametrize("value", [LAST_EXPIRE, str(LAST_EXPIRE)])
def test_the_last_instant_of_the_year_9999_is_the_last_expire(value: object) -> None:
    assert parse_expire(value, now=NOW) == LAST_EXPIRE


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (NOW, "2015-02-28T17:25:45Z, now is 2015-02-28T17:25:45Z"),
        (0, "1970-01-01T00:00:00Z"),
        ("0", "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (-(10**12), "long ago"),
        (LAST_EXPIRE + 1, "must not be after 9999-12-31T23:59:59Z"),
        (
            (NOW + 2) * 1000 - 1,
            f'in milliseconds. It is Unix time in whole seconds: write "{NOW + 1}"',
        ),
        ((NOW + 1) * 1000 - 1, "must not be after"),
        (1_427_736_345_000, 'in whole seconds: write "1427736345"'),
        (LAST_EXPIRE * 1000, "in milliseconds"),
        (LAST_EXPIRE * 1000 + 1, "must not be after 9999-12-31T23:59:59Z"),
        ("9" * 5000, "must not be after 9999-12-31T23:59:59Z"),
        (1.5e9, "whole seconds"),
        (True, "whole seconds"),
        ("1427736345.0", "whole seconds"),
        ("-1", "whole seconds"),
        ("+1", "whole seconds"),
        (" 1427736345", "whole seconds"),
        ("1427736345\n", "whole seconds"),
        ("\u0661\u0664", "whole seconds"),
        ("1_000", "whole seconds"),
        ("", "whole seconds"),
        ([], "whole seconds"),
        ({}, "whole seconds"),
    ],
)
def test_any_other_expire_is_refused_with_what_would_be_right(
    value: object, complaint: str
) -> None:
    with pytest.raises(ValueError, match=r".*") as refused:
        parse_expire(value, now=NOW)
    assert complaint in str(refused.value)
    assert str(refused.value).startswith("expire ")


@given(st.integers(0, 10**40))
def test_seconds_read_from_a_string_are_those_of_the_integer(seconds: int) -> None:
    read = parse_seconds(str(seconds))
    assert read == seconds or (read is not None and min(read, seconds) > LAST_EXPIRE * 1000)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (LAST_EXPIRE, "9999-12-31T23:59:59Z"),
        (LAST_EXPIRE + 1, "after the year 9999"),
        (10**30, "after the year 9999"),
        (-(10**30), "long ago"),
    ],
)
def test_an_instant_is_written_as_rfc_3339_has_it(seconds: int, text: str) -> None:
    assert instant(seconds) == text


@given(st.integers(0, LAST_EXPIRE))
def test_an_instant_can_be_read_back(seconds: int) -> None:
    read = datetime.strptime(instant(seconds), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert read.timestamp() == seconds


def test_a_long_text_is_cut() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "abc…"


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_an_empty_body_is_an_empty_object(body: bytes) -> None:
    change = parse_change(body, now=NOW)
    assert (change.guid, change.expire, change.sets_expire, change.faults) == (
        None,
        None,
        False,
        [],
    )
    assert not change.metadata


@pytest.mark.parametrize(
    ("body", "expire", "sets"),
    [
        ('{"user": "Ann"}', None, False),
        ('{"expire": null}', None, True),
        (f'{{"expire": "{NOW + 5}"}}', NOW + 5, True),
        (f'{{"expire": {NOW + 5}}}', NOW + 5, True),
    ],
)
def test_expire_may_be_left_out_or_null_or_given(body: str, expire: int | None, sets: bool) -> None:
    change = parse_change(body.encode(), now=NOW)
    assert (change.expire, change.sets_expire) == (expire, sets)
    assert "expire" not in change.metadata


def test_a_body_may_name_the_guid_that_the_url_names() -> None:
    body = json.dumps({"guid": GUID}).encode()
    assert parse_change(body, now=NOW, guid=GUID).faults == []
    assert parse_change(body, now=NOW).guid == GUID


@pytest.mark.parametrize(
    ("body", "guid", "places"),
    [
        ({"guid": "0" * 32}, GUID, ["/guid"]),
        ({"guid": GUID.lower()}, GUID, ["/guid"]),
        ({"guid": None}, None, ["/guid"]),
        ({"guid": 5}, None, ["/guid"]),
        ({"guid": ""}, None, ["/guid"]),
        ({}, "nonsense", ["guid"]),
        ({"guid": "x", "expire": "tomorrow"}, "nonsense", ["guid", "/guid", "/expire"]),
    ],
)
def test_all_faults_of_a_body_are_found_at_once_with_their_places(
    body: dict[str, object], guid: str | None, places: list[str]
) -> None:
    change = parse_change(json.dumps(body).encode(), now=NOW, guid=guid)
    assert [fault.pointer or fault.parameter for fault in change.faults] == places


def test_a_body_that_is_no_object_is_no_change() -> None:
    with pytest.raises(InvalidRequest):
        parse_change(b"[]", now=NOW)


@pytest.mark.parametrize(("start", "share"), [("0", 0.0), ("4", 0.25), ("8", 0.5), ("C8", 0.78125)])
def test_the_share_of_the_guids_before_one_is_between_0_and_1(start: str, share: float) -> None:
    assert share_of(start.ljust(32, "0")) == share
