"""What answers mean, those of something else than Guidkeep among them."""

from __future__ import annotations

from typing import Any

import pytest

from guidkeep.client.lines import Sent
from guidkeep.client.wire import Answer
from guidkeep.errors import MethodNotAllowed, UnknownAnswer
from tests.client.scripted import GUID, Script, answer, problem


@pytest.mark.parametrize(
    "strange",
    [
        Answer(200, {}, b"<html>Welcome</html>"),
        Answer(200, {}, b"[]"),
        Answer(200, {}, b"{}"),
        Answer(302, {}, b'{"type": "urn:guidkeep:problem:not-found"}'),
        Answer(404, {}, b'{"type": "about:blank"}'),
        Answer(404, {}, b'{"type": "urn:guidkeep:problem:news"}'),
        Answer(500, {}, b"[" * 100_000),
    ],
)
def test_an_answer_that_is_none_of_guidkeeps_is_told_as_such(strange: Answer) -> None:
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
    script = Script([answer(200, {"status": "degraded"})])
    assert script.run(script.operations.check()) == "degraded"


def test_a_method_that_is_not_allowed_names_those_that_are() -> None:
    script = Script([problem(MethodNotAllowed("POST", ["GET", "HEAD"]), allow="GET, HEAD")])
    with pytest.raises(MethodNotAllowed) as raised:
        script.run(script.operations.read(GUID))
    assert raised.value.headers == {"allow": "GET, HEAD"}
