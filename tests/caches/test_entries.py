"""Entries in a cache that others can write to: the form that is kept, and the checks."""

from __future__ import annotations

import pytest
from hypothesis import given

from guidkeep.caches.entries import checked, entry_of, parse, render
from guidkeep.record import LAST_EXPIRE, Record
from tests.generated import records
from tests.support import GUID, MARCH_2015

NOW = MARCH_2015
SOON = NOW + 30
RECORD = Record(GUID, SOON, 7, '{"user":"Ann"}')
HEAD = f'7 {{"guid":"{GUID}","expire":"{SOON}"'
OTHER = "0" * 32

WRONG = {
    "nothing": b"",
    "another format": b"content-type: text/html\r\nset-cookie: a=b\r\n\r\n<script>",
    "no version": HEAD[2:].encode() + b"}",
    "a version that is no number": b"x" + HEAD.encode() + b"}",
    "a version with a sign": b"-" + HEAD.encode() + b"}",
    "a version of two lines": b"7\r\nset-cookie: a=b\r\n" + HEAD[1:].encode() + b"}",
    "a version beyond what stores compare": b"%d" % 2**63 + HEAD[1:].encode() + b"}",
    "a version with zeros before it": b"0" + HEAD.encode() + b"}",
    "another GUID": HEAD.replace(GUID, OTHER).encode() + b"}",
    "a GUID in small letters": HEAD.replace(GUID, GUID.lower()).encode() + b"}",
    "no object": b'7 ["guid"]',
    "an expire of the past": HEAD.replace(str(SOON), str(NOW)).encode() + b"}",
    "an expire beyond all dates": HEAD.replace(str(SOON), str(LAST_EXPIRE + 1)).encode() + b"}",
    "an expire that is no number": HEAD.replace(str(SOON), "soon").encode() + b"}",
    "an expire of thousands of digits": HEAD.replace(str(SOON), "9" * 5000).encode() + b"}",
    "no end": HEAD.encode() + b',"user":"Ann"',
    "more after its end": HEAD.encode() + b'}{"user":"Ann"}',
    "white space after its end": HEAD.encode() + b"}\n",
    "not UTF-8": HEAD.encode() + b',"user":"\xff"}',
    "a control character": HEAD.encode() + b',"user":"\n"}',
    "no JSON": HEAD.encode() + b',"user":<script>}',
    "NaN": HEAD.encode() + b',"seats":NaN}',
    "deeper than any record": HEAD.encode() + b',"deep":' + b"[" * 100_000,
}


@given(records())
def test_what_was_put_in_is_believed_and_the_same(record: Record) -> None:
    kept = render(entry_of(record))
    assert parse(kept) == record
    assert checked(record.guid, kept, record.expire - 1) == entry_of(record)


def test_an_entry_ends_in_the_second_of_its_expire() -> None:
    kept = render(entry_of(RECORD))
    assert checked(GUID, kept, SOON - 0.001)
    assert checked(GUID, kept, SOON) is None


@pytest.mark.parametrize("kept", WRONG.values(), ids=WRONG)
def test_what_is_no_whole_record_of_its_guid_is_not_believed(kept: bytes) -> None:
    assert checked(GUID, HEAD.encode() + b"}", NOW)
    assert checked(GUID, kept, NOW) is None


def test_numbers_of_any_length_are_a_records_own() -> None:
    kept = HEAD.encode() + b',"seats":' + b"9" * 5000 + b"}"
    assert checked(GUID, kept, NOW)


@pytest.mark.parametrize(
    "damaged", [b"", b"7", RECORD.json.encode(), render(entry_of(RECORD))[:60]]
)
def test_what_was_not_rendered_is_not_parsed(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="not an entry"):
        parse(damaged)
