"""Lines of a bulk write: which ones get a GUID, and how they form batches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guidkeep.client.arguments import members_of
from guidkeep.client.batches import (
    BATCH_BYTES,
    BATCH_LINES,
    Batches,
    Sent,
    has_null,
    line_of,
    text_after,
)
from guidkeep.client.splitter import Splitter
from guidkeep.errors import InvalidRequest
from guidkeep.jsontext import parse_object
from guidkeep.jsontext.lines import Lines
from tests.client.scripted import GUID

FRESH = "F" * 32


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ({"user": "é"}, f'{{"guid":"{FRESH}","user":"é"}}'),
        ({}, f'{{"guid":"{FRESH}"}}'),
        ("{ }", f'{{"guid":"{FRESH}"}}'),
        ('{"n": 1.10}', f'{{"guid":"{FRESH}","n": 1.10}}'),
        (b' {"n": 1}\r\n', f'{{"guid":"{FRESH}","n": 1}}'),
        ('{"n":\n 1,\r\n"m":2}', f'{{"guid":"{FRESH}","n":  1,  "m":2}}'),
        ('{"deep": {"guid": 1}}', f'{{"guid":"{FRESH}","deep": {{"guid": 1}}}}'),
        ('{"\\u0061": 1}', f'{{"guid":"{FRESH}","\\u0061": 1}}'),
    ],
)
def test_a_line_without_a_guid_gets_one(line: Any, text: str) -> None:
    assert line_of(7, line, lambda: FRESH) == Sent(7, text.encode(), FRESH, is_drawn=True)
    json.loads(text)


@pytest.mark.parametrize(
    ("line", "guid"),
    [
        (f'{{"guid": "{GUID}"}}', GUID),
        (f'{{"\\u0067uid": "{GUID}"}}', GUID),
        (f'{{"guid": "{GUID}", "n": {"7" * 5000}}}', GUID),
        ('{"guid": "x"}', None),
        ('{"guid": null}', None),
        ('["guid"]', None),
        ("5", None),
        ("no json", None),
        ("[" * 100_000, None),
        ("", None),
        ('\f{"a": 1}', None),
    ],
)
def test_any_other_line_stays_as_it_is(line: str, guid: str | None) -> None:
    assert line_of(7, line, lambda: FRESH) == Sent(7, line.encode(), guid)


@pytest.mark.parametrize(
    "line",
    [
        '{"user": "a\nb"}',
        '{"user": "a\rb"}',
        f'{{"guid": "{GUID}", "user": "a\r\nb"}}',
        '{\f"user": "A"}',
        '{"user": "A"}\f',
        '{"n":\n1} x',
        '{"user":\n"\ud800"}',
        "[\n" * 100_000,
    ],
    ids=str,
)
def test_a_line_that_is_refused_as_a_body_is_none_that_is_taken(line: str) -> None:
    with pytest.raises(InvalidRequest):
        members_of(line.encode(errors="surrogatepass"))
    sent = line_of(7, line, lambda: FRESH).text
    assert b"\n" not in sent
    with pytest.raises(InvalidRequest):
        parse_object(sent)


@pytest.mark.parametrize("line", ["", " \r\n", "\f", "\v "])
def test_a_line_is_blank_if_it_is_to_the_service(line: str) -> None:
    assert line_of(7, line) == Sent(7, b"", None)
    assert not any(Lines(99).feed(f"{line}\n".encode()))


def test_without_more_ado_the_guid_is_random() -> None:
    assert line_of(1, "{}").guid != line_of(1, "{}").guid


@pytest.mark.parametrize(
    ("line", "has_one"),
    [
        ('{"a": null}', True),
        ('{"a": {"b": {"expire": null}}}', True),
        (f'{{"a": null, "n": {"7" * 5000}}}', True),
        ('{"expire": null}', False),
        ('{"a": "null"}', False),
        ('{"a": [{"b": null}]}', False),  # an array is not merged
        ("[null]", False),
        ("null", False),
        ('{"a": null', False),
    ],
)
def test_a_null_that_a_second_time_would_remove_is_seen(line: str, has_one: bool) -> None:
    assert has_null(Sent(1, line.encode(), GUID)) is has_one


@pytest.mark.parametrize(
    ("line", "later"),
    [
        ('{"user": "A", "ttl": 60}', '{"user":"A","ttl":53}'),
        ('{"\\u0074tl": "60"}', '{"ttl":53}'),
        ('{"ttl": 3}', '{"ttl":1}'),
        ('{"ttl": 0}', '{"ttl": 0}'),
        ('{"ttl": null}', '{"ttl": null}'),
        ('{"text": "\\u0074tl"}', '{"text": "\\u0074tl"}'),
        ('{"text": "ttl"}', '{"text": "ttl"}'),
        ('{"ttl": 60', '{"ttl": 60'),
    ],
)
def test_a_line_that_is_repeated_asks_for_what_is_left_of_its_ttl(line: str, later: str) -> None:
    sent = Sent(1, line.encode(), GUID)
    assert text_after(sent, 0).decode() == line
    assert text_after(sent, 7).decode() == later


def test_a_batch_has_so_many_lines_at_most() -> None:
    batches = Batches()
    full = [batch for _ in range(2 * BATCH_LINES + 1) if (batch := batches.add("{}"))]
    assert [len(batch) for batch in full] == [BATCH_LINES, BATCH_LINES]
    assert [line.number for line in batches.rest()] == [2 * BATCH_LINES + 1]
    assert batches.rest() == []


def test_a_batch_has_so_many_bytes_at_most_unless_one_line_has_more() -> None:
    batches, sizes = Batches(), (30_000, 30_000, 30_000, 100_000, 10)
    made = [batch for size in sizes if (batch := batches.add({"text": "x" * size}))]
    made.append(batches.rest())
    assert [len(batch) for batch in made] == [2, 1, 1, 1]
    for batch in made:
        length = sum(len(line.text) + 1 for line in batch)
        assert length <= BATCH_BYTES or len(batch) == 1


@pytest.mark.parametrize("length", [1, 2, 5, 100])
def test_a_stream_is_cut_at_line_ends_however_it_comes(length: int) -> None:
    text, splitter, lines = b"one\ntwo\n\nthree", Splitter(), list[bytes]()
    for at in range(0, len(text), length):
        lines += splitter.feed(text[at : at + length])
    assert lines + splitter.feed(b"") == [b"one", b"two", b"three"]
