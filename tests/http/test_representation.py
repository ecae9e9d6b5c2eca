"""Rendered responses: a record becomes bytes, and is parsed back unchanged."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidkeep.caches.entries import entry_of
from guidkeep.http.representation import etag_of, parse, render, validators
from guidkeep.jsontext import parse_object
from guidkeep.record import LAST_EXPIRE, Record
from tests.generated import records
from tests.support import GUID

MARCH = Record(GUID, 1_427_736_345, 1_425_144_345_000_000, '{"user":"Cylance, Inc."}')


def test_the_specifications_example_looks_as_the_module_says() -> None:
    assert render(entry_of(MARCH)) == (
        b"content-length: 88\r\n"
        b'etag: "1425144345000000"\r\n'
        b"sunset: Mon, 30 Mar 2015 17:25:45 GMT\r\n"
        b"\r\n"
        b'{"guid":"9094E4C980C74043A4B586B420E69DDF","expire":"1427736345","user":"Cylance, Inc."}'
    )


@given(records())
def test_what_was_rendered_is_parsed_to_the_same_record(record: Record) -> None:
    assert parse(render(entry_of(record))) == record


@given(records())
def test_an_answer_says_how_long_it_is_and_is_json(record: Record) -> None:
    head, _, body = render(entry_of(record)).partition(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n"))
    assert int(fields[b"content-length"]) == len(body)
    assert fields[b"etag"] == etag_of(record).encode()
    answered = json.loads(body)
    assert list(answered)[:2] == ["guid", "expire"] or {"guid", "expire"} & set(
        parse_object(record.metadata)
    )


@given(st.integers(0, LAST_EXPIRE))
def test_sunset_is_the_instant_of_expire(expire: int) -> None:
    fields = dict(validators(Record(GUID, expire, 1, "{}")))
    assert parsedate_to_datetime(fields[b"sunset"].decode()).timestamp() == expire


@pytest.mark.parametrize(
    "damaged", [b"", b"etag", render(entry_of(MARCH))[:-60], MARCH.json.encode()]
)
def test_what_was_not_rendered_is_not_parsed(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="not a response"):
        parse(damaged)
