"""Which requests are sent again, and after which pause; without a service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guidkeep.client.arguments import ANY, KEEP
from guidkeep.client.models import Written
from guidkeep.client.retry import Patience
from guidkeep.client.sansio import Response
from guidkeep.errors import (
    GuidkeepError,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    Stopping,
    StoreUnavailable,
    TooManyRequests,
    UnknownAnswer,
    Unreachable,
)
from tests.client.scripted import (
    AWAY,
    BUSY,
    GATEWAY,
    GONE,
    GUID,
    MAY_BE_DONE,
    NO_ANSWER,
    NO_CONNECTION,
    NOTHING_DONE,
    TAKEN,
    Script,
    problem,
    response,
)

WRITES: dict[str, Any] = {
    "create": lambda o: o.create({}, None, KEEP),
    "create_or_update": lambda o: o.create_or_update({}, GUID, KEEP, ANY),
    "named": lambda o: o.create_or_update({"guid": GUID}, None, KEEP, ANY),
    "replace": lambda o: o.replace(GUID, {}, KEEP, ANY),
    "update": lambda o: o.update(GUID, {"n": None}, KEEP, ANY),
}
CONDITIONAL: dict[str, Any] = {
    "create": lambda o: o.create({}, GUID, KEEP),
    "named": lambda o: o.create({"guid": GUID}, None, KEEP),
    "generated": lambda o: o.create_or_update({}, None, KEEP, '"1"'),
    "create_or_update": lambda o: o.create_or_update({}, GUID, KEEP, '"1"'),
    "replace": lambda o: o.replace(GUID, {}, KEEP, '"1"'),
    "update": lambda o: o.update(GUID, {}, KEEP, '"1"'),
    "delete": lambda o: o.delete(GUID, '"1"'),
}
WITH_NULL: dict[str, Any] = {
    "create_or_update": lambda o: o.create_or_update({"o": {"n": None}}, GUID, KEEP, ANY),
    "named": lambda o: o.create_or_update(f'{{"guid":"{GUID}","n":null}}', None, KEEP, ANY),
}


@pytest.mark.parametrize("came", NOTHING_DONE.values(), ids=NOTHING_DONE)
@pytest.mark.parametrize("write", [*WRITES.values(), *CONDITIONAL.values()])
def test_what_was_not_done_is_done_again(came: Any, write: Any) -> None:
    done = response(204) if write is CONDITIONAL["delete"] else response(200)
    script = Script([came, came, done])
    script.run(write(script.operations))
    assert script.sent[0].path == script.sent[2].path
    assert script.sent[0].body == script.sent[2].body


@pytest.mark.parametrize("came", MAY_BE_DONE.values(), ids=MAY_BE_DONE)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_on_no_condition_is_done_again_though_it_may_have_been_done(
    came: Any, write: Any
) -> None:
    script = Script([came, response(200)])
    script.run(write(script.operations))
    assert script.sent[0] == script.sent[1]


@pytest.mark.parametrize("came", MAY_BE_DONE.values(), ids=MAY_BE_DONE)
@pytest.mark.parametrize("write", CONDITIONAL.values(), ids=CONDITIONAL)
def test_a_write_on_a_condition_is_not_done_again_when_it_may_have_been_done(
    came: Any, write: Any
) -> None:
    script = Script([came])
    with pytest.raises(OutcomeUnknown):
        script.run(write(script.operations))
    assert script.pauses == []


def test_a_server_that_stops_leaves_the_outcome_of_a_write_open_and_of_a_read_not() -> None:
    stopping = problem(Stopping("It stops."))
    script = Script([stopping] * 5)
    with pytest.raises(OutcomeUnknown, match=r"may have happened.*It stops\.") as raised:
        script.run(script.operations.update(GUID, {}, KEEP, ANY))
    assert raised.value.request_id == "id"
    script = Script([stopping] * 5)
    with pytest.raises(Stopping):
        script.run(script.operations.read(GUID))


@pytest.mark.parametrize("write", WITH_NULL.values(), ids=WITH_NULL)
def test_a_null_that_may_have_created_a_record_is_not_sent_again(write: Any) -> None:
    script = Script([NO_ANSWER])
    with pytest.raises(OutcomeUnknown):
        script.run(write(script.operations))


def slow(seconds: float, *come: Any) -> Script:
    """Each attempt takes that long."""
    patience = Patience(
        None, clock=lambda: seconds * len(script.sent), wall=lambda: 0.0, chance=lambda: 0.5
    )
    script = Script(come, patience)
    return script


def ttls(script: Script) -> list[Any]:
    return [json.loads(sent.body)["ttl"] for sent in script.sent if sent.body]


WITH_TTL: dict[str, Any] = {
    "create": lambda o: o.create({}, None, KEEP, 60),
    "create a GUID's": lambda o: o.create_or_update({}, GUID, KEEP, ANY, 60),
    "by a member": lambda o: o.create_or_update({"guid": GUID, "ttl": "60"}, None, KEEP, ANY),
    "replace": lambda o: o.replace(GUID, {}, KEEP, ANY, 60),
    "update": lambda o: o.update(GUID, '{"ttl": "060"}', KEEP, ANY),
}


@pytest.mark.parametrize("write", WITH_TTL.values(), ids=WITH_TTL)
def test_a_repeat_asks_for_what_is_left_of_the_ttl_since_the_first_that_may_have_been_done(
    write: Any,
) -> None:
    script = slow(7.5, NO_CONNECTION, NO_ANSWER, BUSY, response(200))
    script.run(write(script.operations))
    assert [int(ttl) for ttl in ttls(script)] == [60, 60, 53, 45]


def test_a_ttl_that_is_over_leaves_a_second_to_the_repeat() -> None:
    script = slow(90, NO_ANSWER, response(200))
    script.run(script.operations.update(GUID, {}, KEEP, ANY, 60))
    assert ttls(script) == [60, 1]


@pytest.mark.parametrize("ttl", [0, -5, "soon", True])
def test_a_ttl_that_is_none_stays_as_it_is_when_it_is_repeated(ttl: Any) -> None:
    script = slow(90, NO_ANSWER, response(200))
    script.run(script.operations.update(GUID, {"ttl": ttl}, KEEP, ANY))
    assert ttls(script) == [ttl, ttl]


@pytest.mark.parametrize("name", ["expire", "ttl"])
def test_a_null_that_removes_nothing_is_no_reason_not_to_repeat(name: str) -> None:
    script = Script([NO_ANSWER, response(200)])
    script.run(script.operations.create_or_update({name: None}, GUID, KEEP, ANY))
    assert len(script.sent) == 2


def test_a_record_of_ours_that_is_there_already_was_made_by_the_attempt_before() -> None:
    script = Script([NO_ANSWER, TAKEN, response(200)])
    record = script.run(script.operations.create({}, None, KEEP))
    assert record.guid == GUID
    assert [sent.method for sent in script.sent] == ["POST", "POST", "GET"]
    assert len({sent.path for sent in script.sent}) == 1
    again = Script([NO_ANSWER, TAKEN, response(200)])
    written = again.run(again.operations.create_or_update({}, None, KEEP, ANY))
    assert written == Written(record, created=True)


def test_without_such_an_attempt_it_is_somebody_elses() -> None:
    for come in ([TAKEN], [BUSY, TAKEN]):
        script = Script(come)
        with pytest.raises(PreconditionFailed):
            script.run(script.operations.create({}, None, KEEP))


def test_a_record_that_is_gone_after_a_lost_deletion_counts_as_deleted() -> None:
    script = Script([NO_ANSWER, GONE])
    assert script.run(script.operations.delete(GUID, ANY)) is None


@pytest.mark.parametrize("come", [[GONE], [BUSY, GONE]])
def test_a_record_that_was_never_there_was_not_deleted(come: list[Response]) -> None:
    script = Script(come)
    with pytest.raises(NotFound):
        script.run(script.operations.delete(GUID, ANY))


@pytest.mark.parametrize("came", [NO_ANSWER, NO_CONNECTION])
def test_a_read_without_any_answer_says_that_the_service_can_not_be_reached(came: Any) -> None:
    script = Script([came] * 5)
    with pytest.raises(Unreachable, match=r"This request wrote nothing\."):
        script.run(script.operations.read(GUID))


def test_a_write_that_one_attempt_may_have_done_ends_with_an_open_outcome() -> None:
    for last in (NO_CONNECTION, BUSY):
        script = Script([NO_ANSWER, *[last] * 4])
        with pytest.raises(OutcomeUnknown, match="may have happened"):
            script.run(script.operations.update(GUID, {}, KEEP, ANY))
    script = Script([NO_CONNECTION] * 5)
    with pytest.raises(Unreachable):
        script.run(script.operations.update(GUID, {}, KEEP, ANY))


def test_a_gateway_that_answers_a_write_leaves_its_outcome_open() -> None:
    for status in (502, 503, 504):
        gateway = Response(status, {}, b"<html>Bad gateway</html>")
        script = Script([gateway] * 5)
        with pytest.raises(OutcomeUnknown, match=r"may have happened.*Bad gateway"):
            script.run(script.operations.update(GUID, {}, KEEP, ANY))


def test_the_last_answer_is_what_is_raised() -> None:
    script = Script([AWAY] * 5)
    with pytest.raises(StoreUnavailable, match="away") as raised:
        script.run(script.operations.read(GUID))
    assert raised.value.request_id == "id"
    script = Script([GATEWAY] * 5)
    with pytest.raises(UnknownAnswer, match="Bad gateway"):
        script.run(script.operations.read(GUID))


@pytest.mark.parametrize(
    "error",
    [InvalidRequest("wrong"), NotFound("none"), PreconditionFailed("no"), GuidkeepError("")],
)
def test_what_would_only_be_refused_again_is_not_sent_again(error: GuidkeepError) -> None:
    script = Script([problem(error)])
    with pytest.raises(type(error)):
        script.run(script.operations.read(GUID))


def test_pauses_double_and_have_chance_in_them() -> None:
    script = Script([NO_CONNECTION] * 4 + [response(200)])
    script.run(script.operations.read(GUID))
    assert script.pauses == [0.05, 0.1, 0.2, 0.4]
    patience = Patience(attempts=9, timeout=None, clock=lambda: 0.0, chance=lambda: 1.0)
    script = Script([NO_CONNECTION] * 8 + [response(200)], patience)
    script.run(script.operations.read(GUID))
    assert script.pauses[-2:] == [5.0, 5.0]
    assert script.sent[0].timeout is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        ("Thu, 01 Jan 1970 00:00:07 GMT", 7.0),
        ("Wed, 31 Dec 1969 23:59:00 GMT", 0.0),
        ("soon", 0.0),
        ("³", 0.0),
    ],
)
def test_retry_after_is_honoured(text: str, seconds: float) -> None:
    script = Script([problem(TooManyRequests("busy"), retry_after=text), response(200)])
    script.run(script.operations.read(GUID))
    assert script.pauses == [seconds + 0.05]


def test_nothing_is_waited_for_that_would_come_too_late() -> None:
    script = Script([problem(TooManyRequests("busy"), retry_after="30")])
    with pytest.raises(TooManyRequests):
        script.run(script.operations.read(GUID))


def test_every_attempt_has_what_is_left_of_the_time() -> None:
    now = iter(range(100))
    patience = Patience(timeout=30.0, clock=lambda: float(next(now)), chance=lambda: 0.0)
    script = Script([NO_CONNECTION, NO_CONNECTION, response(200)], patience)
    script.run(script.operations.read(GUID))
    left = [request.timeout for request in script.sent]
    assert left == sorted(left, reverse=True)  # type: ignore[type-var]  # there is a limit: floats
    assert len(set(left)) == 3


def test_one_attempt_is_never_repeated() -> None:
    script = Script([NO_CONNECTION], Patience(attempts=1))
    with pytest.raises(Unreachable):
        script.run(script.operations.read(GUID))


# Exports.

BEGUN = Response(200, {"content-type": "application/x-ndjson"})


A, B, C = "A" * 32, "B" * 32, "C" * 32


def piece(*guids: str) -> bytes:
    """Lines of an export."""
    return b"".join(b'{"guid":"%b","expire":"4102444800"}\n' % guid.encode() for guid in guids)


def test_an_export_goes_on_where_its_connection_was_lost() -> None:
    a, b, c = piece(A), piece(B), piece(C)
    script = Script([BEGUN, a + b[:5], NO_ANSWER, BEGUN, a + b, c[:7], c[7:], b""])
    script.run(script.operations.export(None, None))
    assert script.given == [A, B, C]
    assert script.pauses == [0.05]


def test_an_export_that_gets_nowhere_is_given_up() -> None:
    script = Script([BEGUN, piece(A), *[NO_ANSWER, BEGUN] * 4, NO_ANSWER])
    with pytest.raises(Unreachable):
        script.run(script.operations.export("Ann", None))
    assert script.given == [A]
    paths = [request.path for request in script.sent]
    assert paths == ["/export?user=Ann", *[f"/export?user=Ann&after={A}"] * 4]


def test_an_export_may_lack_its_last_line_end() -> None:
    script = Script([BEGUN, piece(A, B)[:-1], b""])
    script.run(script.operations.export(None, None))
    assert script.given == [A, B]


def test_an_export_may_begin_after_a_guid() -> None:
    script = Script([BEGUN, piece("0" * 32, GUID, "F" * 32), b""])
    script.run(script.operations.export(None, GUID))
    assert script.given == ["F" * 32]
    assert script.sent[0].path == f"/export?after={GUID}"
