"""The values of events in a log: no GUIDs, and only printable characters."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from guidkeep import logs
from tests.server.processes import serving
from tests.server.wire import record, wired

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GUID = "9094E4C980C74043A4B586B420E69DDF"
FORMS = (
    GUID,
    GUID.lower(),
    str(UUID(GUID)),
    UUID(GUID),
    UUID(GUID).bytes,
    f"urn:uuid:{UUID(GUID)}",
    f"/guid/{GUID}?user=x",
    f"Key (guid)=(\\x{GUID.lower()}) already exists.",
    f"{GUID}{GUID}",
)


def logged(form: str, guids: str, log: Callable[[Any], None]) -> str:
    """The text in the log after that call."""
    stream = io.StringIO()
    before, sys.stderr = sys.stderr, stream
    try:
        logs.configure(form=form, level="info", guids=guids)
        log(structlog.get_logger("guidkeep.test"))
    finally:
        sys.stderr = before
    return stream.getvalue()


def fail(log: Any, value: Any) -> None:
    try:
        dict[Any, None]()[value]
    except LookupError:
        log.exception("it failed")


CALLS: dict[str, Callable[[Any, Any], None]] = {
    "a value": lambda log, value: log.info("event", value=value),
    "the event": lambda log, value: log.info(str(value)),
    "a name": lambda log, value: log.info("event", **{str(value): 1}),
    "within others": lambda log, value: log.info("event", a=[{"b": (value, {value})}, 1, None]),
    "a name within": lambda log, value: log.info("event", a={value: 1.5}),
    "an object": lambda log, value: log.info("event", error=ValueError(value)),
    "an exception": fail,
    "a library's": lambda _, value: logging.getLogger("lib").error("of %s", value),
    "a library's extra": lambda _, value: logging.getLogger("lib").error("e", extra={"a": value}),
    "a library's exception": lambda _, value: fail(logging.getLogger("lib"), value),
    "the stack": lambda log, value: log.info("event", stack=f"of {value}"),
}


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("guid", FORMS, ids=str)
@pytest.mark.parametrize("call", CALLS)
def test_a_guid_is_shown_by_its_first_digits_wherever_it_stands(
    form: str, guid: Any, call: str
) -> None:
    told = logged(form, "prefix", lambda log: CALLS[call](log, guid))
    plain = told.lower().replace("-", "")
    assert GUID[:8].lower() in plain
    assert GUID[8:20].lower() not in plain
    assert GUID[20:].lower() not in plain
    assert "\\x94" not in told


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("call", CALLS)
def test_guids_are_shown_whole_or_not_at_all_where_that_is_asked_for(form: str, call: str) -> None:
    assert GUID in logged(form, "full", lambda log: CALLS[call](log, GUID))
    assert GUID[:8] not in logged(form, "off", lambda log: CALLS[call](log, GUID))


@pytest.mark.parametrize(
    "text", ["b'content-length' is missing", r"one byte, b'\x90', is none", r"the literal b'\xg'"]
)
def test_bytes_that_are_no_guid_are_shown(text: str) -> None:
    assert json.loads(logged("json", "off", lambda log: log.info(text)))["event"] == text


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_id_of_a_request_is_shown_whole(form: str) -> None:
    """It links the log to a proxy's log, whose ids look like GUIDs."""
    assert GUID in logged(form, "off", lambda log: log.info("event", request_id=GUID))


TEXTS = st.text(st.characters() | st.sampled_from("\x1b[31m\n\r\t\u2028\u202e\x00\x9b\udcff 'a"))


@given(text=TEXTS, call=st.sampled_from(sorted(CALLS)))
def test_text_logs_have_printable_characters_alone_and_one_line_an_event(
    text: str, call: str
) -> None:
    told = logged("text", "prefix", lambda log: CALLS[call](log, f"({text})"))
    [event, *rest] = told.removesuffix("\n").split("\n")
    assert event.isprintable()
    for line in rest:
        assert line.startswith("  "), "of a traceback; it can't be taken for an event"
        assert line.isprintable()


@given(text=TEXTS, call=st.sampled_from(sorted(CALLS)))
def test_json_logs_have_one_line_of_ascii_an_event(text: str, call: str) -> None:
    told = logged("json", "prefix", lambda log: CALLS[call](log, f"({text})"))
    assert told.isascii()
    assert told.count("\n") == 1
    assert json.loads(told)["level"] in ("info", "error")


def test_paths_reach_into_no_terminal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    flags = ("--access-log", "on", "--log-format", "text")
    with serving(tmp_path / "a.db", *flags, log=log) as server, wired(server.address) as wire:
        guid = wire.ask("POST", "/guid", record()).json["guid"]
        wire.ask("GET", "/%1B%5B31mred%0Aforged%E2%80%A8%C2%9B")
        wire.ask("GET", f"/guid/{UUID(guid)}")
        wire.ask("GET", f"/guid/{guid}{guid.lower()}")
        assert server.stop() == 0
    told = log.read_text()
    assert re.fullmatch(r"[\n -~…]*", told)
    assert "\\x1b[31mred\\nforged" in told
    assert guid[8:] not in told.upper().replace("-", "")
    assert told.count(f"{guid[:8]}…") + told.lower().count(f"{guid[:8].lower()}…") >= 2
