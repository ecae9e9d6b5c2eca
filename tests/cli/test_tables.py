"""Records as tables: on a terminal, in colour, cut where a line ends."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from guidkeep.cli import exits
from guidkeep.record import new_guid
from tests.cli.conftest import Terminal

if TYPE_CHECKING:
    from guidkeep import Client
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch

DAY = 86_400


def test_on_a_terminal_a_record_is_a_table(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, guid: str
) -> None:
    record = client.create('{"user":"Ann","n":1.50,"bell":"\\u0007\\u001b[2J"}', guid=guid)
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run("get", guid) == 0
    name, expires, *rest = terminal.getvalue().splitlines()
    assert name == f"guid     {guid}"
    assert expires.startswith("expires  2")
    assert expires.endswith("Z (in 30 days)")
    assert rest == [
        "user     Ann",
        "n        1.50",
        "bell     \\u0007\\u001b[2J",
        f"etag     {record.etag}",
    ]
    assert run("get", guid, "--json") == 0
    assert terminal.getvalue().endswith(f"{record.text}\n")


@pytest.mark.parametrize("no_color", [False, True])
def test_there_is_no_colour_where_none_is_wanted(
    run: Run, client: Client, monkeypatch: Patch, no_color: bool
) -> None:
    guid = client.create({"user": "Ann"}).guid
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run("get", guid) == 0
    assert ("\x1b[36m" in terminal.getvalue()) is not no_color


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(4 * 365 * DAY, "in 4 years"), (3 * DAY, "in 3 days"), (7200, "in 2 hours"),
     (3600, "in 60 minutes"), (100, "in 100 s")],
)  # fmt: skip
def test_a_table_says_how_long_there_is(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, seconds: int, told: str
) -> None:
    now = int(time.time()) + 60
    guid = client.create({"user": "Ann"}, expire=now + seconds).guid
    monkeypatch.setattr("guidkeep.cli.output.time.time", lambda: now)
    assert run("get", guid, "--table") == 0
    assert f"({told})" in capsys.readouterr().out
    monkeypatch.setattr("guidkeep.cli.output.time.time", lambda: now + 10 * 365 * DAY)
    assert run("get", guid, "--table") == 0
    assert "(expired)" in capsys.readouterr().out


def test_a_table_of_records_is_aligned_and_says_that_there_are_more(
    run: Run, client: Client, capsys: Capture, user: str
) -> None:
    for n in (1, 2, 3):
        client.create({"user": user, "n": n, "text": "x" * 99}, guid=f"{user[:31]}{n}")
    assert run("list", "--user", user, "--limit", 2, "--table") == 0
    said = capsys.readouterr()
    head, *rows = said.out.splitlines()
    assert head.split() == ["GUID", "EXPIRES", "USER", "MORE"]
    for n, row in enumerate(rows, 1):
        assert row.startswith(f"{user[:31]}{n}  2")
        assert row.index(user, 1) == head.index("USER")
        assert row.endswith("x" * 99)
    assert len(rows) == 2
    assert said.err == (
        f"There are more records, from {user[:31]}3 on: use --all or a larger --limit.\n"
    )


def test_a_table_has_what_else_a_record_has(
    run: Run, client: Client, capsys: Capture, user: str
) -> None:
    client.create({"user": user, "n": 1, "t": "é\n"})
    assert run("list", "--user", user, "--table") == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("n=1 t=é\\n")


@pytest.mark.parametrize(("form", "is_table"), [("table", True), ("json", False), ("", False)])
def test_the_environment_can_say_the_form(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, form: str, is_table: bool
) -> None:
    guid = client.create({"user": "Ann"}).guid
    monkeypatch.setenv("GUIDKEEP_FORMAT", form)
    assert run("get", guid) == 0
    assert capsys.readouterr().out.startswith("guid ") is is_table
    monkeypatch.setenv("GUIDKEEP_FORMAT", "xml")
    assert run("get", guid) == exits.USAGE
    assert (
        capsys.readouterr().err == "guidkeep: GUIDKEEP_FORMAT: 'xml' is neither table nor json.\n"
    )


def test_on_a_terminal_a_line_of_a_table_is_cut_where_it_ends(
    run: Run, client: Client, monkeypatch: Patch, user: str
) -> None:
    guid = client.create({"user": user, "text": "x" * 99}).guid
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run("list", "--user", user) == 0
    _, line = terminal.getvalue().splitlines()
    assert line.startswith(guid)
    assert line.endswith("x…")
    assert len(line) == 100


def test_a_long_user_is_cut_in_a_table(run: Run, client: Client, capsys: Capture) -> None:
    user = f"{new_guid()}{new_guid()}"
    client.create({"user": user})
    assert run("list", "--user", user, "--table") == 0
    assert f"  {user[:39]}…" in capsys.readouterr().out
