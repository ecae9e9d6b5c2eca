"""The meaning of responses, including those of other programs than Guidkeep."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guidkeep.cli import exits
from guidkeep.client.arguments import ANY
from guidkeep.client.batches import Sent
from guidkeep.client.responses import line_of, own_status
from guidkeep.client.sansio import Response
from guidkeep.errors import (
    BodyTooLarge,
    GuidkeepError,
    InvalidRequest,
    MethodNotAllowed,
    OutcomeUnknown,
    UnknownAnswer,
    Unreachable,
)
from guidkeep.wire.problems import problem_of
from tests.client.scripted import GATEWAY, GUID, Script, problem, response


@pytest.mark.parametrize(
    "strange",
    [
        Response(200, {}, b"<html>Welcome</html>"),
        Response(200, {}, b"[]"),
        Response(200, {}, b"{}"),
        Response(200, {}, b'{"cache": {}, "requests": {}}'),
        Response(302, {}, b'{"type": "urn:guidkeep:problem:not-found"}'),
        Response(404, {}, b'{"type": "about:blank"}'),
        Response(404, {}, b'{"type": "urn:guidkeep:problem:news"}'),
        Response(200, {}, b""),
        Response(204, {}, b""),
        Response(501, {}, b"[" * 100_000),
        Response(200, {}, b'{"guid": "%b"}' % GUID.encode()),
        Response(200, {}, b'{"guids": [5], "next": null}'),
        Response(200, {}, b'{"guids": [{"guid": "x"}]}'),
        Response(200, {}, b'{"guids": [], "next": "/guid?after=x"}'),
        Response(404, {}, b'{"type": "urn:guidkeep:problem:no-such-address"}'),
    ],
)
def test_an_answer_that_is_none_of_guidkeeps_is_told_as_such(strange: Response) -> None:
    operations: list[Any] = [
        lambda o: o.read(GUID),
        lambda o: o.list(1, None, None, None),
        lambda o: o.check(),
        lambda o: o.stats(),
        lambda o: o.metadata_schema(),
        lambda o: o.max_body(),
        lambda o: o.bulk([Sent(1, b"{}", None)], create_only=False),
        lambda o: o.export(None, None),
    ]
    for operation in operations:
        script = Script([strange])
        with pytest.raises(UnknownAnswer) as raised:
            script.run(operation(script.operations))
        assert raised.value.answered == strange.status


def test_a_degraded_service_is_one() -> None:
    script = Script([response(200, {"status": "degraded"})])
    assert script.run(script.operations.check()) == "degraded"


def test_a_method_that_is_not_allowed_names_those_that_are() -> None:
    script = Script([problem(MethodNotAllowed("POST", ["GET", "HEAD"]), allow="GET, HEAD")])
    with pytest.raises(MethodNotAllowed) as raised:
        script.run(script.operations.read(GUID))
    assert raised.value.allowed == ["GET", "HEAD"]


NOT_FOUND_PAGE = b"<html><head><title>404 Not\n Found</title></head><body>nginx</body></html>"
PLACE = "https://ann:secret@there/"


@pytest.mark.parametrize(
    ("strange", "said"),
    [
        (Response(200, {}, b""), "200, with no content, is not a response of Guidkeep's"),
        (
            Response(200, {}, b"<TITLE>Log in</TITLE>"),
            "200, with the page 'Log in', is not a response",
        ),
        (
            Response(404, {}, NOT_FOUND_PAGE),
            "404, with the page '404 Not Found', is not a response",
        ),
        (Response(404, {}, b"\x1b[2J"), r"404, with '\x1b[2J', is not a response"),
        (
            Response(404, {}, b'{"type": "urn:guidkeep:problem:no-such-address"}'),
            "a wrong path in the URL?",
        ),
        (Response(301, {"location": PLACE}, b""), "301 leads to 'https://there/', and is"),
        (Response(302, {"location": "/a?key=b#c"}, b""), "302 leads to '/a', and is not"),
        (Response(302, {}, b""), "302, with no content, is not a response"),
        (
            Response(502, {}, b"Bad Gateway"),
            "502, with 'Bad Gateway', is not Guidkeep's: something",
        ),
        (Response(524, {}, b""), "524, with no content, is not Guidkeep's: something"),
    ],
)
def test_what_answered_in_its_place_is_told(strange: Response, said: str) -> None:
    script = Script([strange] * (5 if strange.status > 500 else 1))
    with pytest.raises(UnknownAnswer) as raised:
        script.run(script.operations.read(GUID))
    assert said in raised.value.detail
    assert exits.code_of(raised.value) == exits.UNAVAILABLE


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507, 520, 522, 530])
def test_a_write_that_something_in_between_answered_with_a_5xx_may_have_happened(
    status: int,
) -> None:
    page = Response(status, {"content-type": "text/html"}, b"<html>Oops</html>")
    script = Script([page])
    with pytest.raises(OutcomeUnknown, match=r"may have happened.*Oops") as raised:
        script.run(script.operations.update(GUID, {}, None, '"1"'))
    assert exits.code_of(raised.value) == exits.UNKNOWN


@pytest.mark.parametrize("status", [400, 403, 404, 413, 501])
def test_a_write_that_something_in_between_refused_was_not_done_unless_an_attempt_before_was(
    status: int,
) -> None:
    page = Response(status, {}, b"<html>No</html>")
    script = Script([page])
    with pytest.raises(UnknownAnswer):
        script.run(script.operations.delete(GUID, ANY))
    script = Script([GATEWAY, page])
    with pytest.raises(OutcomeUnknown):
        script.run(script.operations.delete(GUID, ANY))


@pytest.mark.parametrize(
    ("came", "is_told"),
    [
        ('"5"', '"5"'),
        ('W/"5"', '"5"'),
        ('"5-gzip"', '"5"'),
        ('"5--gzip"', '"5"'),
        ('W/"5-br"', '"5"'),
        ('"a-gzip"', '"a-gzip"'),
        ('W/"a"', '"a"'),
        ("*", "*"),
    ],
)
def test_a_version_that_a_proxy_has_altered_is_told_and_sent_as_the_service_wrote_it(
    came: str, is_told: str
) -> None:
    script = Script([response(200, etag=came)])
    assert script.run(script.operations.read(GUID)).etag == is_told
    script = Script([response(200)])
    script.run(script.operations.update(GUID, {}, None, came))
    assert script.sent[0].headers["if-match"] == is_told
    script = Script([response(304)])
    assert script.run(script.operations.read_if_changed(GUID, came)) is None
    assert script.sent[0].headers["if-none-match"] == is_told


LINE = f'{{"guid":"{GUID}","expire":"4102444800","user":"Ann"}}'.encode()


@pytest.mark.parametrize(
    "line",
    [b"{}", b"<html>", b"5", b"[" * 100_000, LINE[:-1], LINE[:-3] + b'\xff"}', LINE[1:]],
    ids=range(7),
)
def test_an_export_with_a_line_that_is_no_record_ends_there(line: bytes) -> None:
    begun = Response(200, {"content-type": "application/x-ndjson"})
    script = Script([begun, LINE + b"\n", line + b"\n"])
    with pytest.raises(UnknownAnswer):
        script.run(script.operations.export(None, None))
    assert script.given == [GUID]


def test_figures_that_are_not_guidkeeps_are_told_as_such() -> None:
    figures = {"as_of": 1, "live": 1, "forecast": [], "later": 0, "reclaimed": 0}
    script = Script([response(200, {**figures, "cache": 5, "requests": {}})])
    with pytest.raises(UnknownAnswer):
        script.run(script.operations.stats())


@pytest.mark.parametrize("kind", [InvalidRequest, BodyTooLarge])
def test_a_line_that_is_refused_without_a_reason_is_refused_all_the_same(
    kind: type[GuidkeepError],
) -> None:
    status = problem_of(kind).status
    text = json.dumps({"line": 7, "status": status, "problem": {}}).encode()
    line = line_of(Response(200, {}), text, 7)
    assert (line.number, line.status, line.guid, type(line.error)) == (7, status, None, kind)


@pytest.mark.parametrize(
    ("kind", "status"),
    [(InvalidRequest, 400), (BodyTooLarge, 413), (OutcomeUnknown, 503), (Unreachable, 500)],
)
def test_the_clients_own_errors_have_the_status_that_the_service_would_give_them(
    kind: type[GuidkeepError], status: int
) -> None:
    assert own_status(kind("It is so.")) == status
