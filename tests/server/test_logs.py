"""Logs: JSON, or text on a terminal; the events of libraries, and values that are never logged."""

from __future__ import annotations

import json
import logging
import os
import pty
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from guidkeep import logs
from servers.nodes import ENVIRONMENT
from tests.server.processes import GUIDKEEP, serving
from tests.server.wire import record, wired
from tests.support import served

if TYPE_CHECKING:
    from pathlib import Path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_server_logs_json_and_only_its_own_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(tmp_path / "a.db", log=log) as server:
        with wired(server.address) as wire:
            assert wire.ask("GET", "/livez").status == 200
        with wired(server.address) as wire:
            wire.send(b"garbage\r\n\r\n")
            assert wire.answer().is_problem(400)
        assert server.stop() == 0
    told = lines(log)
    assert {line["event"] for line in told} == {"stopping", "stopped"}
    assert {line["logger"] for line in told} == {"guidkeep.server.server"}
    for line in told:
        assert line["level"] == "info"
        assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("guids", ["", "prefix", "full", "off"])
def test_every_request_is_logged_when_that_is_asked_for(tmp_path: Path, guids: str) -> None:
    log = tmp_path / "log"
    flags = ("--access-log", "on", *(("--log-guids", guids) if guids else ()))
    with serving(tmp_path / "a.db", *flags, log=log) as server:
        with wired(server.address) as wire:
            guid = wire.ask("POST", "/guid", record("a secret")).json["guid"]
            wire.ask("GET", f"/guid/{guid}", None, "X-Request-ID: from-the-proxy")
            wire.ask("GET", f"/guid/{guid}")
            wire.ask("GET", "/nowhere?q=1")
        assert server.stop() == 0
    told = [line for line in lines(log) if line["event"] == "request"]
    shown = {"full": guid, "off": "…"}.get(guids, f"{guid[:8]}…")
    assert [(line["method"], line["path"], line["status"]) for line in told] == [
        ("POST", "/guid", 201),
        ("GET", f"/guid/{shown}", 200),
        ("GET", f"/guid/{shown}", 200),
        ("GET", "/nowhere", 404),
    ]
    assert told[1]["request_id"] == "from-the-proxy"
    assert len({line["request_id"] for line in told}) == 4
    for line in told:
        assert line["ms"] >= 0
    assert "a secret" not in log.read_text()


@pytest.mark.parametrize(
    ("flags", "is_text", "is_coloured"),
    [((), True, True), (("--log-format", "text"), True, True),
     (("--log-format", "json"), False, False)],
)  # fmt: skip
def test_on_a_terminal_logs_are_readable(
    tmp_path: Path, flags: tuple[str, ...], is_text: bool, is_coloured: bool
) -> None:
    ours, theirs = pty.openpty()
    try:
        store = f"sqlite:///{tmp_path / 'a.db'}"
        with subprocess.Popen(
            [*GUIDKEEP, "serve", "--port", "0", "--store", store, *flags],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**ENVIRONMENT, "TERM": "xterm"},
            text=True,
        ) as process:
            assert process.stdout is not None
            assert "serves" in process.stdout.readline()
            process.terminate()
            assert process.wait(timeout=30) == 0
        told = os.read(ours, 65_536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert ("{" not in told) is is_text
    assert ("\x1b[" in told) is is_coloured
    assert "stopping" in told


def logged(form: str, level: str, capsys: pytest.CaptureFixture[str]) -> str:
    logs.configure(form=form, level=level)
    structlog.get_logger("guidkeep.test").info("an event", number=7)
    structlog.get_logger("guidkeep.test").warning("a warning")
    logging.getLogger("uvicorn.error").info("noise")
    logging.getLogger("httpx2").info("a request")
    logging.getLogger("uvicorn.error").warning("what matters")
    logging.getLogger("somebody").error("else %s", "x", extra={"more": 1})
    return capsys.readouterr().err


def test_json_has_a_line_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    told = [json.loads(line) for line in logged("json", "info", capsys).splitlines()]
    assert [line["event"] for line in told] == ["an event", "a warning", "what matters", "else x"]
    assert told[0]["number"] == 7
    assert told[3]["more"] == 1
    assert [line["logger"] for line in told][2:] == ["uvicorn.error", "somebody"]


def test_text_is_no_json_and_without_colours_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = logged("text", "info", capsys)
    assert "{" not in told
    assert "\x1b" not in told
    assert "an event" in told
    assert "number=7" in told


def test_auto_is_json_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(json.loads(line) for line in logged("auto", "info", capsys).splitlines())


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("debug", ["an event", "a warning", "what matters", "else x"]),
        ("warning", ["a warning", "what matters", "else x"]),
        ("error", ["else x"]),
    ],
)
def test_nothing_below_the_level_is_logged(
    capsys: pytest.CaptureFixture[str], level: str, events: list[str]
) -> None:
    told = [json.loads(line)["event"] for line in logged("json", level, capsys).splitlines()]
    assert told == events


def test_an_exception_is_logged_with_its_traceback_and_no_variables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(form="json", level="info")
    secret = "of the client"  # noqa: S105 - looked for below
    try:
        int(secret[:0])
    except ValueError:
        structlog.get_logger("guidkeep.test").exception("it failed")
    told = capsys.readouterr().err
    [stack] = json.loads(told)["exception"]
    assert stack["exc_type"] == "ValueError"
    assert stack["frames"]
    assert secret not in told


def test_a_store_that_fails_is_logged_with_the_requests_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SQLite's message is in the log; the client does not get it."""
    logs.configure(form="json", level="info")
    path = tmp_path / "a.db"
    with served(store=f"sqlite:///{path}") as server, wired(server.address) as wire:
        guid = wire.ask("POST", "/guid", record()).json["guid"]
        with closing(sqlite3.connect(path)) as other:
            other.execute("DROP TABLE record")
        answer = wire.ask("PATCH", f"/guid/{guid}", record("Bob"))
        assert answer.is_problem(503)
        assert "no such table" not in answer.body.decode()
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    failed = [line for line in told if line["event"] == "store unavailable"]
    assert failed[0]["request_id"] == answer.json["request_id"]
    assert any("no such table" in line.get("error", "") for line in told)
