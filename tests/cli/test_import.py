"""`guidkeep import`: whole files, refusals, interruptions, output and exit codes."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.cli import exits, import_
from guidkeep.record import new_guid
from tests.cli.conftest import Terminal, feed
from tests.cli.files import FILE, REFUSED, STATE, write

if TYPE_CHECKING:
    from guidkeep import Client
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch


@pytest.mark.parametrize(
    "text",
    [
        '{{"user": "{0}", "n": 1.10}}\n{{"user": "{0}", "n": 2.0}}\n',
        '[{{"user": "{0}", "n": 1.10}}, {{"user": "{0}", "n":\n 2.0}}]',
        "user,n:=\n{0},1.10\n{0},2.0\n",
    ],
    ids=["ndjson", "json", "csv"],
)
@pytest.mark.parametrize("is_input", [False, True])
def test_all_records_of_a_file_are_written(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, user: str, text: str,
    is_input: bool,
) -> None:  # fmt: skip
    FILE.write_text(text.format(user))
    feed(monkeypatch, FILE.read_bytes())
    assert run("import", "-" if is_input else FILE) == 0
    told = {"created": 2, "updated": 0, "refused": 0, "refused_file": None}
    assert json.loads(capsys.readouterr().out) == told
    texts = [record.text for record in client.export(user=user)]
    assert sorted(text.partition('"n":')[2].strip() for text in texts) == ["1.10}", "2.0}"]
    assert [path.name for path in Path().iterdir()] == ["records"]


def test_the_last_line_about_a_record_stays(
    run: Run, client: Client, capsys: Capture, small: None, user: str
) -> None:
    guids = [new_guid() for _ in range(4)]
    write([{"guid": guid, "user": user, "n": n} for n in range(8) for guid in guids])
    assert run("import", FILE, "--table") == 0
    assert capsys.readouterr().out == "Imported records: 4 created, 28 updated, 0 refused.\n"
    assert {record.metadata["n"] for record in client.export(user=user)} == {7}


def test_refused_records_go_to_a_file_with_their_reasons(
    run: Run, client: Client, capsys: Capture, small: None, user: str
) -> None:
    rows = [f'{{"user":"{user}"}}'] * 4 + ["no json", "", '{"user":5}', '{"user":"x","guid":"y"}']
    FILE.write_bytes("\n".join([*rows, *rows]).encode() + b"\n\xff\n")
    REFUSED.write_text("of an import long ago\n")
    assert run("import", FILE, "--table") == exits.FAILED
    assert capsys.readouterr().out == (
        "Imported records: 8 created, 0 updated, 7 refused. records.refused has the refused "
        "records and the reasons.\n"
    )
    told = [json.loads(line) for line in REFUSED.read_text().splitlines()]
    assert [one["line"] for one in told] == [5, 7, 8, 13, 15, 16, 17]
    assert [one["record"] for one in told[:3]] == [rows[4], *rows[6:]]
    assert [one["status"] for one in told] == [400] * 7
    assert told[1]["errors"][0]["pointer"] == "/user"
    assert "not JSON" in told[0]["detail"]
    assert told[6]["detail"] == "Byte 0 is not UTF-8."
    assert len(list(client.export(user=user))) == 8


@pytest.mark.parametrize(
    "text",
    [
        b'[{"user":"USER"},\n{"user":"\xff"},\n{"user":\n5},\n{"user":"USER"}]',
        b'user:=\n"""USER"""\n\xff\n"\n5"\n"""USER"""\n',
    ],
    ids=["json", "csv"],
)
@pytest.mark.parametrize("words", [["--dry-run"], []])
def test_each_refused_record_is_on_a_line_of_its_own(
    run: Run, client: Client, capsys: Capture, user: str, text: bytes, words: list[str]
) -> None:
    FILE.write_bytes(text.replace(b"USER", user.encode()))
    assert run("import", FILE, *words) == exits.FAILED
    told = json.loads(capsys.readouterr().out)
    assert (told["created"], told["refused"]) == (2, 2)
    assert len(list(client.export(user=user))) == (0 if words else 2)
    refused = Path(told["refused_file"]).read_text().splitlines()
    not_text, number = (json.loads(line) for line in refused)
    assert not_text["detail"].endswith("is not UTF-8.")
    assert "\n" not in number["record"]
    assert json.loads(number["record"]) == {"user": 5}


def test_what_the_service_refuses_as_a_body_is_refused_as_a_line(run: Run, capsys: Capture) -> None:
    rows = [b'{"user":"a\rb"}', b'{"user":"a"}\f', b'{\v"user":"a"}', b"\f"]
    FILE.write_bytes(b"\r\n".join(rows))
    for words in (["--dry-run"], []):
        assert run("import", FILE, *words) == exits.FAILED
        told = json.loads(capsys.readouterr().out)
        assert (told["created"], told["refused"]) == (0, 3)
    records = [json.loads(line)["record"].encode() for line in REFUSED.read_text().splitlines()]
    assert records == rows[:3]


def test_refusals_go_where_they_are_sent(run: Run, capsys: Capture, monkeypatch: Patch) -> None:
    write([{"user": 5}])
    assert run("import", FILE, "--refused", "elsewhere") == exits.FAILED
    assert json.loads(capsys.readouterr().out)["refused_file"] == "elsewhere"
    assert not REFUSED.exists()
    feed(monkeypatch, FILE.read_bytes())
    assert run("import", "-") == exits.FAILED
    said = capsys.readouterr()
    assert "guidkeep: line 1: 5 is not of type" in said.err
    assert json.loads(said.out) == {
        "created": 0, "updated": 0, "refused": 1, "refused_file": None,
    }  # fmt: skip


def test_what_is_no_file_is_read_as_standard_input_is(
    run: Run, client: Client, capsys: Capture, user: str
) -> None:
    os.mkfifo(FILE)
    lines = f'{{"user":"{user}"}}\n{{"user":5}}\n'
    writing = threading.Thread(target=FILE.write_text, args=(lines,))
    writing.start()
    assert run("import", FILE) == exits.FAILED
    writing.join()
    assert "guidkeep: line 2: 5 is not of type" in capsys.readouterr().err
    assert len(list(client.export(user=user))) == 1
    assert [path.name for path in Path().iterdir()] == ["records"]


def test_no_file_of_somebody_is_overwritten_with_refusals(run: Run, capsys: Capture) -> None:
    write([{"user": 5}])
    theirs = Path("theirs")
    theirs.write_text("of worth\n")
    for words in ([], ["--dry-run"], ["--restart"]):
        assert run("import", FILE, "--refused", theirs, *words) == exits.USAGE
        assert "--refused: theirs already exists" in capsys.readouterr().err
        assert run("import", FILE, "--refused", FILE, *words) == exits.USAGE
        assert "--refused: records is the input file" in capsys.readouterr().err
    assert theirs.read_text() == "of worth\n"
    assert json.loads(FILE.read_text()) == {"user": 5}
    assert not STATE.exists()


@pytest.mark.parametrize(
    ("limit", "most", "together"),
    [("MOST_ITEMS", 3, [3, 3, 3, 2]), ("MOST_UNSENT", 2, [3, 3, 4, 1])],
)
def test_many_that_can_not_be_sent_do_not_wait_for_one_that_can(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str, limit: str, most: int,
    together: list[int],
) -> None:  # fmt: skip
    launched: list[int] = []
    launch = import_.Import._send

    async def counted(work: Any, client: Any, batch: Any, items: Any, watch: Any) -> None:
        launched.append(len(items))
        await launch(work, client, batch, items, watch)

    monkeypatch.setattr(import_.Import, "_send", counted)
    monkeypatch.setattr(import_, limit, most)
    FILE.write_text("user,n\n" + "x\n" * 7 + f"{user},1\n" + "x\n" * 3)
    assert run("import", FILE) == exits.FAILED
    told = json.loads(capsys.readouterr().out)
    assert (told["created"], told["refused"]) == (1, 10)
    assert launched == together


def test_create_only_leaves_what_is_there(
    run: Run, client: Client, capsys: Capture, user: str
) -> None:
    there = client.create({"user": user})
    write([{"guid": there.guid, "user": "x"}, {"guid": new_guid(), "user": user}])
    assert run("import", FILE, "--create-only") == exits.FAILED
    told = json.loads(capsys.readouterr().out)
    assert (told["created"], told["updated"], told["refused"]) == (1, 0, 1)
    assert client.read(there.guid) == there
    assert json.loads(REFUSED.read_text())["status"] == 412


def test_a_dry_run_says_what_would_be_refused_and_writes_nothing(
    run: Run, client: Client, capsys: Capture, user: str
) -> None:
    FILE.write_text(f"user,expire,n\n{user},30d,1\n{user},5,1\n,30d,1\n{user},soon,1\nx\n")
    assert run("import", FILE, "--dry-run", "--table") == exits.FAILED
    assert capsys.readouterr().out == (
        "Checked records: 1 could be created, 4 would be refused. records.would-be-refused has "
        "the refused records and the reasons.\n"
    )
    checked = Path("records.would-be-refused").read_text().splitlines()
    assert [json.loads(line)["line"] for line in checked] == [3, 4, 5, 6]
    assert list(client.export(user=user)) == []
    FILE.write_text(f'{{"user":"{user}"}}\nno json\n')
    assert run("import", FILE, "--dry-run") == exits.FAILED
    assert json.loads(capsys.readouterr().out)["created"] == 1


def test_a_dry_run_refuses_what_is_too_large_for_the_service(
    run: Run, capsys: Capture, user: str
) -> None:
    most = 65_536
    room = most - len(json.dumps({"user": user, "t": ""}, separators=(",", ":")))
    rows = [{"user": user, "t": "x" * length} for length in (room, room + 1, 2 * most)]
    FILE.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    for words in (["--dry-run"], []):
        assert run("import", FILE, *words) == exits.FAILED
        told = json.loads(capsys.readouterr().out)
        assert (told["created"], told["refused"]) == (1, 2)
        refused = Path(told["refused_file"]).read_text().splitlines()
        assert [json.loads(line)["status"] for line in refused] == [413, 413]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing"], "missing can't be read: No such file or directory."),
        (["."], ". can't be read: Is a directory."),
        (["records", "--url", "x"], "--url: 'x' is not the address"),
        (["records", "--timeout", "x"], "--timeout: 'x' is not a duration"),
    ],
)
def test_what_can_not_begin_is_told(run: Run, capsys: Capture, words: list[str], said: str) -> None:
    write([{"user": "x"}])
    assert run("import", *words) == exits.USAGE
    assert said in capsys.readouterr().err


def test_on_a_terminal_there_is_a_bar_with_the_rate(
    run: Run, monkeypatch: Patch, user: str
) -> None:
    for name in ("NO_COLOR", "CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    write([{"user": user}] * 5)
    assert run("import", FILE) == 0
    assert "importing" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
    assert "5 records" in terminal.getvalue()
    assert "/s" in terminal.getvalue()
    feed(monkeypatch, FILE.read_bytes())
    assert run("import", "-") == 0
