"""Files without records, and the place that a refusal names."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.cli import exits
from guidkeep.record import new_guid
from tests.cli.conftest import feed
from tests.cli.files import FILE, REFUSED

if TYPE_CHECKING:
    from guidkeep import Client
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch

CSV = "guid,expire,user\n,30d,Ann\n"


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name in names:
            packed.writestr(name, "application/vnd.oasis.opendocument.spreadsheet")
    return file.getvalue()


def database() -> bytes:
    with sqlite3.connect(":memory:") as made:
        made.execute("CREATE TABLE a (b)")
        content = made.serialize()
    made.close()
    return content


WRONG = {
    "xlsx": (archive("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook (.xlsx): save"),
    "ods": (archive("mimetype"), "a LibreOffice document: save its sheet as CSV"),
    "zip": (archive("records.csv"), "a ZIP archive: unpack it first"),
    "empty zip": (archive(), "an empty ZIP archive"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, "an old Excel or Word document"),
    "gzip": (gzip.compress(CSV.encode()), "compressed with gzip: unpack it first, as in gunzip"),
    "SQLite": (database(), "an SQLite database: guidkeep copy"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\n", "a PDF document"),
    "HTML": (b"\n<!DOCTYPE html>\n<title>Sign in</title>", "an HTML page ('Sign in'): a"),
    "HTML without a title": (b"<html>502 Bad Gateway</html>\n", "an HTML page: a download"),
    "XML": (b'\xef\xbb\xbf<?xml version="1.0"?>\n<guids/>', "XML: an import reads NDJSON"),
    "UTF-16 of Excel's": (codecs.BOM_UTF16_LE + CSV.encode("utf-16-le"), "UTF-16: save it as"),
    "UTF-16, big end first": (codecs.BOM_UTF16_BE + CSV.encode("utf-16-be"), "UTF-16: save it as"),
    "UTF-16 without a mark": (CSV.encode("utf-16-le"), "UTF-16: save it as UTF-8"),
    "UTF-16 without a mark, the other": (CSV.encode("utf-16-be"), "UTF-16: save it as UTF-8"),
    "UTF-32": (codecs.BOM_UTF32_LE + CSV.encode("utf-32-le"), "text in UTF-32"),
    "binary": (bytes(range(256)) * 20, "not text"),
    "binary without a zero": (bytes(range(1, 256)) * 20, "not text"),
    "one object": (b'{\n  "user": "Ann",\n  "n": 1\n}\n', "one JSON object on several lines: put"),
    "one object on two lines": (b'{"user": "Ann"\n}', "one JSON object on several lines: put"),
    "a page of the list": (b'{"guids":[{"user":"x"}],"next":null}', "a page of the list of GUIDs"),
    "refusals": (b'{"line":1,"status":4,"detail":"","record":"{}"}\n', "file of refused records"),
    "a problem": (b'{"type":"a","title":"No","status":5,"detail":"x"}', "a service's error"),
    "plain text": (b"Dear all\nthe file follows.\n", "It is not a file of records: NDJSON"),
    "a word": (b"null", "It is not a file of records"),
    "one column": (b"name\nAnn\n", "If that is the name of its only column, use --format csv."),
    "no names": (f"{new_guid()},30d,Ann\n".encode(), "The first line is a record: add a line"),
    "no names, dashes": (b"9094e4c9-80c7-4043-a4b5-86b420e69ddf,A\n", "The first line is a record"),
    "no names, a time": (b"Ann,4102444800\n", "The first line is a record: add a line before"),
    "an empty name": (b"guid,,user\n", "column 2 has no name"),
    "names of nothing": (b",,\n", "column 1 has no name"),
    "twice": (b"user,n,n\n", "The column 'n' appears twice"),
    "twice in another case": (b"guid,GUID,user\n", "The column 'guid' and 'GUID' appears twice"),
    "twice, with a space": (b"user, n,n \n", "The column 'n' appears twice"),
    "twice, once as JSON": (b"user,n,n:=\n", "The column 'n' and 'n:=' appears twice"),
    "expires": (b"guid,expires,user\n", '"expires" is not a member of a record: write "expire"'),
    "Expiry": (b"guid,Expiry,user\n", '"Expiry" is not a member of a record: write "expire"'),
    "expires_in": (b"guid,expires_in:=,user\n", '"expires_in" is not a member of a record: wri'),
    "Excel's own line": (b"sep=;\nguid;user\n", "The first line is Excel's 'sep='"),
    "two separators": (b"guid;expire,user\n", "'guid;expire' is more than one name"),
    "an open quote": (b'"guid,user\n', "is not CSV"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("how", ["file", "standard input", "dry run"])
def test_what_is_no_file_of_records_is_refused_before_anything_is_written(
    run: Run, capsys: Capture, monkeypatch: Patch, content: bytes, said: str, how: str
) -> None:
    written: list[Any] = []
    monkeypatch.setattr("guidkeep.AsyncClient.write", lambda *batch, **_: written.append(batch))
    FILE.write_bytes(content)
    feed(monkeypatch, content)
    ways: dict[str, list[Any]] = {
        "file": [FILE], "standard input": ["-"], "dry run": [FILE, "--dry-run"]
    }  # fmt: skip
    assert run("import", *ways[how]) == exits.USAGE
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.startswith("guidkeep: ")
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert [path.name for path in Path().iterdir()] == ["records"]
    assert written == []


@pytest.mark.parametrize(
    "content", [b"", b" \n\r\n", b"\xef\xbb\xbf", b"[]", b"[ ]\n", b"guid,expire,user\n", b"user"]
)
@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_an_import_of_nothing_fails(
    run: Run, capsys: Capture, content: bytes, words: list[str]
) -> None:
    FILE.write_bytes(content)
    assert run("import", FILE, *words) == exits.FAILED
    assert capsys.readouterr().err == "guidkeep: There is no record in records.\n"
    assert [path.name for path in Path().iterdir()] == ["records"]


"""By the name of a column: one of its cells, and the member that it may stand for."""


@pytest.mark.parametrize("content", ["[a]\nguid = 1\n", "[\n  {,}]", "["])
@pytest.mark.parametrize("words", [[], ["--dry-run"]], ids=["import", "dry run"])
def test_of_a_file_that_breaks_off_before_its_first_record_nothing_is_left(
    run: Run, capsys: Capture, content: str, words: list[str]
) -> None:
    FILE.write_text(content)
    assert run("import", FILE, *words) == exits.FAILED
    assert capsys.readouterr().err.endswith(" Nothing was written.\n")
    assert [path.name for path in Path().iterdir()] == ["records"]


PLACES = {
    "csv": (
        "user,expire,seats:=\n{0},30d,5\n\n{0},5,1\n,30d,1\n{0},soon,1\n{0},30d,{{\n{0},1\n",
        [
            (4, "column expire: "),
            (5, "column user: "),
            (6, "column expire: "),
            (7, "column seats:=: "),
            (8, "The line has 2 cells"),
        ],
    ),
    "csv over lines": (
        'note,user,expire\n"a\nb",{0},30d\n"c\nd",{0},5\nx,{0},5\n',
        [(4, "column expire: "), (6, "column expire: ")],
    ),
    "ndjson": (
        '{{"user":"{0}"}}\n\n{{"user":"{0}",}}\n  {{"user":5}}\n{{"user":"{0}","user":"x"}}\n[]\n',
        [(3, "The record is not JSON: "), (4, ""), (5, "The member "), (6, "The record must be ")],
    ),
    "json": (
        '[\n{{"user":"{0}"}}, {{"user":5}},\n\n5,\n{{"user":"{0}",\n"expire":1}}]',
        [(2, ""), (4, "The record must be "), (5, "")],
    ),
}


@pytest.mark.parametrize(("content", "places"), PLACES.values(), ids=PLACES)
def test_a_refusal_names_the_line_and_the_column_of_the_users_file(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str, content: str,
    places: list[tuple[int, str]],
) -> None:  # fmt: skip
    FILE.write_text(content.format(user))
    assert run("import", FILE) == exits.FAILED
    told = [json.loads(line) for line in REFUSED.read_text().splitlines()]
    assert [one["line"] for one in told] == [line for line, _ in places]
    for one, (_, begins) in zip(told, places, strict=True):
        assert one["detail"].startswith(begins)
        assert not one["detail"].startswith("The body")
    feed(monkeypatch, FILE.read_bytes())
    capsys.readouterr()
    assert run("import", "-") == exits.FAILED
    said = capsys.readouterr().err.splitlines()
    for line, (number, begins) in zip(said, places, strict=True):
        gap = ", " if begins.startswith("column ") else ": "
        assert line.startswith(f"guidkeep: line {number}{gap}{begins}")


def test_where_json_goes_wrong_is_the_column_of_the_users_line(run: Run, user: str) -> None:
    FILE.write_text(f'{{"user":"{user}"}}\n   {{"user" 5}}\n')
    assert run("import", FILE) == exits.FAILED
    assert json.loads(REFUSED.read_text())["detail"].endswith("(column 12).")


def test_faults_of_a_csv_name_their_columns_one_by_one(run: Run) -> None:
    FILE.write_text("User,expire,a/b~c:=\n,5,1\n")
    assert run("import", FILE) == exits.FAILED
    told = json.loads(REFUSED.read_text())
    assert "expire" in [fault.get("column") for fault in told["errors"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[{"user":"U"},\n {"user":\n  "U"},\n  {"user" 5}]', "(line 4, column 11)"),
        (b'[{"user":"U"},\n {"user":"U"}\n {"user":"U"}]', "the end of the array (line 3)."),
        (b'[{"user":"U"}]\n\nx', "after the end of the array (line 3)."),
        (b'guid,user\n,U\n"x"y,U\n', "Line 3 is not CSV"),
    ],
)
def test_a_file_that_breaks_off_says_on_which_line(
    run: Run, capsys: Capture, user: str, content: bytes, said: str
) -> None:
    FILE.write_bytes(content.replace(b"U", user.encode()))
    assert run("import", FILE) == exits.FAILED
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("piece", [1, 7])
def test_it_says_so_however_long_the_file_is(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str, piece: int
) -> None:
    monkeypatch.setattr("guidkeep.cli.input.items.PIECE", piece)
    FILE.write_text(f'[\n{{"user":"{user}"}},\n{{"user":"{user}"}}, {{"user" 5}}]')
    assert run("import", FILE) == exits.FAILED
    assert f"(line 3, column {len(user) + 22})" in capsys.readouterr().err


def test_of_a_pipe_no_more_than_a_line_is_waited_for(client: Client, user: str) -> None:
    line = [sys.executable, "-m", "guidkeep", "import", "-"]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        process.stdin.write(b"<html>\n")
        process.stdin.flush()
        assert process.wait(60) == exits.USAGE  # although there may be more input
        assert process.stderr
        assert b"an HTML page" in process.stderr.read()
        process.stdin.close()


def test_what_an_import_keeps_is_its_owners_alone(
    run: Run, capsys: Capture, monkeypatch: Patch
) -> None:
    modes: list[int] = []

    def look(*_: Any, **__: Any) -> Any:
        modes.append(Path("records.import").stat().st_mode & 0o777)
        raise KeyboardInterrupt

    former = os.umask(0)
    try:
        FILE.write_text('{"user":5}\n')
        victim = Path("victim")
        victim.write_text("theirs")
        Path("records.import.new").symlink_to(victim)
        Path("records.refused").symlink_to(victim)
        with monkeypatch.context() as patch:
            patch.setattr("guidkeep.AsyncClient.write", look)
            assert run("import", FILE) == exits.INTERRUPTED
        assert run("import", FILE) == exits.FAILED
    finally:
        os.umask(former)
    assert modes == [0o600]
    assert REFUSED.stat().st_mode & 0o777 == 0o600
    assert not REFUSED.is_symlink()
    assert victim.read_text() == "theirs"


def test_a_state_that_another_user_has_planted_is_not_believed(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str
) -> None:
    FILE.write_text(f'{{"user":"{user}"}}\n')
    Path("records.import").write_text("{}")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert run("import", FILE) == exits.USAGE
    assert "records.import can't be read" in capsys.readouterr().err


@pytest.mark.parametrize("named", ["fifo", "/dev/fd/{0}", "link"])
def test_refusals_go_straight_into_what_is_no_regular_file(
    run: Run, capsys: Capture, tmp_path: Path, named: str
) -> None:
    FILE.write_text('{"user":5}\n')
    os.mkfifo("fifo")
    Path("link").symlink_to("fifo")
    reading = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open("fifo", os.O_WRONLY)
    try:
        assert run("import", FILE, "--refused", named.format(writing)) == exits.FAILED
        assert json.loads(os.read(reading, 65536))["line"] == 1
    finally:
        os.close(reading)
        os.close(writing)
    assert not Path("fifo").is_file()
    assert run("import", FILE, "--refused", ".") == exits.USAGE
    assert "--refused: . is a folder" in capsys.readouterr().err
