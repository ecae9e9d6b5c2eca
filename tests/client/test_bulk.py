"""The outcomes of a batch's lines, and which lines are sent again; without a service."""

from __future__ import annotations

import json

import pytest

from guidkeep.client.batches import Sent
from guidkeep.client.retry import Patience
from guidkeep.client.sansio import Response
from guidkeep.errors import (
    GuidkeepError,
    OutcomeUnknown,
    PreconditionFailed,
    RequestTimeout,
    Stopping,
    StoreUnavailable,
    TooManyRequests,
    UnknownAnswer,
    Unreachable,
)
from tests.client.scripted import GATEWAY, GUID, NO_ANSWER, NO_CONNECTION, Script, problem

BATCH = [Sent(number, b"{}", guid) for number, guid in ((1, "A"), (2, "B"), (4, "A"), (5, "C"))]


def lines(*errors: GuidkeepError | None) -> Response:
    """The response to a batch: each line done, or that."""
    told = [
        {"status": 201, "guid": GUID, "etag": '"1"'}
        if error is None
        else {"status": came.status, "guid": None, "problem": json.loads(came.body)}
        for error in errors
        for came in [problem(error or GuidkeepError())]
    ]
    return Response(200, {}, b"".join(json.dumps(line).encode() + b"\n" for line in told))


def test_a_batch_of_nothing_asks_nothing() -> None:
    script = Script([])
    assert script.run(script.operations.bulk([], create_only=False)) == []


def test_lines_that_were_not_done_are_sent_again_and_those_after_them_of_their_record() -> None:
    script = Script([lines(StoreUnavailable("away"), None, None, None), lines(None, None)])
    found = script.run(script.operations.bulk(BATCH, create_only=False))
    assert [line.number for line in found] == [1, 2, 4, 5]
    assert [line.error for line in found] == [None] * 4
    assert script.sent[1].body == b"{}\n{}\n"
    assert script.pauses == [1.05]


def test_lines_that_are_sent_again_ask_for_what_is_left_of_their_ttl() -> None:
    drawn, named = b'{"guid":"D","ttl":60}', b'{"ttl":60}'
    batch = [Sent(1, drawn, "D", is_drawn=True), Sent(2, named, "A"), Sent(3, b"{}", "B")]
    patience = Patience(None, clock=lambda: 7.5 * len(script.sent), chance=lambda: 0.5)
    script = Script([NO_ANSWER, lines(None), NO_ANSWER, lines(None, None)], patience)
    script.run(script.operations.bulk(batch, create_only=False))
    assert [sent.body for sent in script.sent] == [
        b"%b\n" % drawn,
        b'{"guid":"D","ttl":53}\n',
        b"%b\n{}\n" % named,
        b'{"ttl":53}\n{}\n',
    ]


def test_lines_without_an_answer_where_the_service_took_no_more_are_sent_again() -> None:
    for error in (Stopping("It stops."), RequestTimeout("It waited.")):
        script = Script([lines(None, error), lines(None, None, None)])
        found = script.run(script.operations.bulk(BATCH, create_only=True))
        assert [(line.number, line.error) for line in found] == [
            (1, None), (2, None), (4, None), (5, None),
        ]  # fmt: skip


def test_a_line_that_stays_undone_is_told_at_last() -> None:
    script = Script([lines(None, None, None, TooManyRequests("busy"))] + [
        lines(TooManyRequests("busy"))
    ] * 4)  # fmt: skip
    found = script.run(script.operations.bulk(BATCH, create_only=False))
    assert isinstance(found[3].error, TooManyRequests)
    assert found[3].number == 5


def test_what_was_answered_before_the_service_went_away_is_told() -> None:
    script = Script([lines(None, Stopping("It stops.")), *[NO_CONNECTION] * 4])
    found = script.run(script.operations.bulk(BATCH, create_only=False))
    assert found[0] == (1, 201, GUID, '"1"', None)
    assert [type(line.error) for line in found[1:]] == [Unreachable] * 3
    assert [line.number for line in found] == [1, 2, 4, 5]


def test_a_line_that_was_done_or_is_open_is_not_told_to_be_unwritten() -> None:
    away, unknown = StoreUnavailable("away"), OutcomeUnknown("who knows")
    answered = lines(away, unknown, None, None)  # the third line has the first one's GUID
    script = Script([answered, *[NO_CONNECTION] * 4])
    found = script.run(script.operations.bulk(BATCH, create_only=False))
    told = [type(line.error) for line in found]
    assert told == [Unreachable, OutcomeUnknown, type(None), type(None)]
    script = Script([answered, *[NO_ANSWER] * 4])
    found = script.run(script.operations.bulk(BATCH, create_only=False))
    told = [type(line.error) for line in found]
    assert told == [*[OutcomeUnknown] * 3, type(None)]


def test_what_was_drawn_and_done_is_told_though_the_others_were_not() -> None:
    batch = [Sent(1, b"{}", "A"), Sent(2, b"{}", "B", is_drawn=True)]
    script = Script([NO_ANSWER, lines(None), *[NO_CONNECTION] * 4])
    first, second = script.run(script.operations.bulk(batch, create_only=False))
    assert isinstance(first.error, Unreachable)
    assert second.error is None


@pytest.mark.parametrize(("create_only", "attempts"), [(False, 2), (True, 1)])
def test_a_line_whose_outcome_is_open_is_sent_again_unless_it_may_only_create(
    create_only: bool, attempts: int
) -> None:
    responses = [lines(None, OutcomeUnknown("who knows"), None, None), lines(None)]
    script = Script(responses[:attempts])
    found = script.run(script.operations.bulk(BATCH, create_only=create_only))
    assert isinstance(found[1].error, OutcomeUnknown) is create_only


def test_a_batch_whose_answer_was_lost_is_sent_again_unless_it_may_only_create() -> None:
    script = Script([NO_ANSWER, lines(None, None, None, None)])
    assert len(script.run(script.operations.bulk(BATCH, create_only=False))) == 4
    script = Script([NO_ANSWER])
    with pytest.raises(OutcomeUnknown):
        script.run(script.operations.bulk(BATCH, create_only=True))


def test_a_gateway_that_answers_a_batch_leaves_its_outcome_open() -> None:
    script = Script([GATEWAY])
    with pytest.raises(OutcomeUnknown):
        script.run(script.operations.bulk(BATCH, create_only=True))


def test_lines_with_a_null_are_not_sent_again_when_they_may_have_been_done() -> None:
    batch = [Sent(1, b"{}", "A"), Sent(2, b'{"n":null}', "B")]
    script = Script([NO_ANSWER])
    with pytest.raises(OutcomeUnknown):
        script.run(script.operations.bulk(batch, create_only=False))
    unknown = OutcomeUnknown("who knows")
    script = Script([lines(unknown, unknown), lines(None)])
    first, second = script.run(script.operations.bulk(batch, create_only=False))
    assert script.sent[1].body == b"{}\n"
    assert first.error is None
    assert isinstance(second.error, OutcomeUnknown)


@pytest.mark.parametrize("create_only", [False, True])
def test_lines_whose_guid_was_drawn_only_create_and_are_there_when_it_was_done(
    create_only: bool,
) -> None:
    batch = [Sent(1, b'{"n":null}', "A", is_drawn=True), Sent(2, b"{}", "B")]
    script = Script([NO_ANSWER, lines(PreconditionFailed("there")), lines(None)])
    first, second = script.run(script.operations.bulk(batch, create_only=create_only))
    assert first == (1, 201, "A", None, None)
    assert second.number == 2
    assert [sent.body for sent in script.sent] == [b'{"n":null}\n', b'{"n":null}\n', b"{}\n"]
    conditions = [sent.headers.get("if-none-match") for sent in script.sent]
    assert conditions == ["*", "*", "*" if create_only else None]


@pytest.mark.parametrize("body", [b"", b'{"status": "x"}\n', b"no json\n" * 4])
def test_an_answer_that_is_not_one_for_each_line_is_none_of_guidkeeps(body: bytes) -> None:
    script = Script([Response(200, {}, body)])
    with pytest.raises(UnknownAnswer):
        script.run(script.operations.bulk(BATCH, create_only=False))


def test_a_problem_of_a_line_that_is_not_known_is_told_as_such() -> None:
    told = b'{"status": 400, "guid": null, "problem": {"type": "news"}}\n'
    script = Script([Response(200, {}, told * 4)])
    found = script.run(script.operations.bulk(BATCH, create_only=False))
    assert isinstance(found[0].error, UnknownAnswer)
