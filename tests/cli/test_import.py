"""`guidkeep import`: whole files, refusals, interruptions, what it prints and returns."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep import AsyncClient, Client
from guidkeep.client import Line, lines
from guidkeep.commands import exits, importing
from guidkeep.errors import (
    GuidkeepError,
    OutcomeUnknown,
    Stopping,
    StoreUnavailable,
    Unreachable,
)
from guidkeep.record import new_guid
from tests.cli.conftest import Terminal, feed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guidkeep.server import Running
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch

FILE = Path("records")
STATE = Path("records.import")
REFUSED = Path("records.refused")


def write(rows: list[dict[str, Any]]) -> None:
    FILE.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch has three lines, and how far it came is saved with each."""
    monkeypatch.setattr(lines, "BATCH_LINES", 3)
    monkeypatch.setattr(importing, "BETWEEN_SAVES", -1.0)


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
        "Imported records: 8 created, 0 updated, 7 refused. records.refused has those, with the "
        "reasons.\n"
    )
    told = [json.loads(line) for line in REFUSED.read_text().splitlines()]
    assert [one["line"] for one in told] == [5, 7, 8, 13, 15, 16, 17]
    assert [one["record"] for one in told[:3]] == [rows[4], *rows[6:]]
    assert [one["status"] for one in told] == [400] * 7
    assert told[1]["errors"][0]["pointer"] == "/user"
    assert "not JSON" in told[0]["detail"]
    assert told[6]["detail"] == "Byte 0 is not UTF-8."
    assert len(list(client.export(user=user))) == 8


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
        assert "--refused: theirs is there already" in capsys.readouterr().err
        assert run("import", FILE, "--refused", FILE, *words) == exits.USAGE
        assert "--refused: records is the file that is read" in capsys.readouterr().err
    assert theirs.read_text() == "of worth\n"
    assert json.loads(FILE.read_text()) == {"user": 5}
    assert not STATE.exists()


def test_an_import_overwrites_the_refusals_of_its_own_that_was_interrupted(
    run: Run, capsys: Capture, monkeypatch: Patch, small: None
) -> None:
    write([{"user": 5}] * 9)
    words = ["--refused", "elsewhere"]
    for again in ([], ["--restart"]):
        with monkeypatch.context() as patch:
            Failing(patch, 1, StoreUnavailable("away"))
            assert run("import", FILE, *words, *again) == exits.UNAVAILABLE
    before = Path("elsewhere").read_bytes()
    assert run("import", FILE, "--dry-run") == exits.FAILED
    assert Path("elsewhere").read_bytes() == before
    Path("elsewhere").write_bytes(before[:-1])
    capsys.readouterr()
    assert run("import", FILE, *words) == exits.USAGE
    assert "elsewhere is shorter than it was" in capsys.readouterr().err
    Path("elsewhere").unlink()
    assert run("import", FILE, *words) == exits.USAGE
    Path("elsewhere").write_bytes(before)
    assert run("import", FILE, *words) == exits.FAILED
    assert len(Path("elsewhere").read_text().splitlines()) == 9


def test_many_that_can_not_be_sent_do_not_wait_for_one_that_can(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str
) -> None:
    monkeypatch.setattr(importing, "MOST_ITEMS", 3)
    FILE.write_text("user,n\n" + "x\n" * 7 + f"{user},1\n" + "x\n" * 3)
    assert run("import", FILE) == exits.FAILED
    told = json.loads(capsys.readouterr().out)
    assert (told["created"], told["refused"]) == (1, 10)


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
        "those, with the reasons.\n"
    )
    checked = Path("records.would-be-refused").read_text().splitlines()
    assert [json.loads(line)["line"] for line in checked] == [3, 4, 5, 6]
    assert list(client.export(user=user)) == []
    FILE.write_text(f'{{"user":"{user}"}}\nno json\n')
    assert run("import", FILE, "--dry-run") == exits.FAILED
    assert json.loads(capsys.readouterr().out)["created"] == 1
    FILE.write_text("")
    assert run("import", FILE, "--dry-run") == 0


def test_a_dry_run_refuses_what_is_too_large_for_the_service(
    run: Run, capsys: Capture, user: str
) -> None:
    most = 65_536
    room = most - len(
        json.dumps({"guid": new_guid(), "user": user, "t": ""}, separators=(",", ":"))
    )
    rows = [{"user": user, "t": "x" * length} for length in (room, room + 1, 2 * most)]
    FILE.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    for words in (["--dry-run"], []):
        assert run("import", FILE, *words) == exits.FAILED
        told = json.loads(capsys.readouterr().out)
        assert (told["created"], told["refused"]) == (1, 2)
        refused = Path(told["refused_file"]).read_text().splitlines()
        assert [json.loads(line)["status"] for line in refused] == [413, 413]


class Failing:
    """Lets so many batches through; then something happens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, good: int, error: BaseException) -> None:
        write_batch = AsyncClient.write
        left = good

        async def write(client: Any, batch: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise error
            return await write_batch(client, batch, **options)

        monkeypatch.setattr(AsyncClient, "write", write)


def test_interrupted_it_goes_on_where_it_was_and_creates_nothing_twice(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, small: None, user: str
) -> None:
    write([{"user": user, "n": n} if n % 10 else {"n": n} for n in range(100)])
    for good, error in ((3, StoreUnavailable("away")), (4, Stopping("It stops."))):
        with monkeypatch.context() as patch:
            Failing(patch, good, error)
            assert run("import", FILE) == exits.code_of(error)
        assert capsys.readouterr().err.endswith("Run it again: it goes on from there.\n")
        with REFUSED.open("a") as refused:
            refused.write("of a batch that was not counted\n")
    assert json.loads(STATE.read_text())["state"]["done"] > 0
    assert run("import", FILE) == exits.FAILED
    said = capsys.readouterr()
    assert "guidkeep: Goes on after 21 records, where it was interrupted" in said.err
    told = json.loads(said.out)
    assert told["created"] + told["updated"] == 90
    assert sorted(record.metadata["n"] for record in client.export(user=user)) == [
        n for n in range(100) if n % 10
    ]
    assert len(REFUSED.read_text().splitlines()) == told["refused"] == 10
    assert not STATE.exists()


def test_its_own_records_are_not_refused_when_it_goes_on(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, small: None, user: str
) -> None:
    write([{"user": user, "n": None}] * 4)
    write_batch = AsyncClient.write

    async def lost(*batch: Any, **options: Any) -> Any:
        await write_batch(*batch, **options)
        raise OutcomeUnknown("It may have happened.")

    monkeypatch.setattr(importing, "AT_ONCE", 1)
    with monkeypatch.context() as patch:
        patch.setattr(AsyncClient, "write", lost)
        assert run("import", FILE, "--create-only") == exits.UNKNOWN
    before = [record.text for record in client.export(user=user)]
    assert len(before) == 3
    capsys.readouterr()
    assert run("import", FILE, "--create-only") == 0
    assert json.loads(capsys.readouterr().out)["created"] == 4
    assert set(before) < {record.text for record in client.export(user=user)}


def test_a_line_that_could_not_be_done_for_now_stops_it(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str
) -> None:
    write([{"user": user}])

    error: GuidkeepError = Unreachable("No connection.")

    async def write_nothing(_: Any, batch: Any, **__: Any) -> Any:
        return [Line(batch[0].number, error.status, None, None, error)]

    monkeypatch.setattr(AsyncClient, "write", write_nothing)
    assert run("import", FILE) == exits.UNAVAILABLE
    assert "It stopped on the way: No connection." in capsys.readouterr().err
    error = StoreUnavailable("away")
    assert run("import", FILE) == exits.UNAVAILABLE
    assert "It stopped on the way: away Try again in a while." in capsys.readouterr().err
    assert STATE.exists()
    assert run("import", FILE, "--restart", "--url", "http://ann:pa55word@localhost:1") == 6
    assert "pa55word" not in STATE.read_text()
    assert "pa55word" not in capsys.readouterr().err


def test_what_is_on_its_way_when_it_is_interrupted_is_counted(
    client: Client, user: str, tmp_path: Path
) -> None:
    write([{"user": user, "n": n} for n in range(20_000)])
    command = [sys.executable, "-m", "guidkeep", "import", str(FILE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not list(client.list(user=user, limit=1).records):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == exits.INTERRUPTED
    assert said.endswith(b"guidkeep: Interrupted. Run it again: it goes on from there.\n")
    state = json.loads(STATE.read_text())["state"]
    assert state["done"] == state["created"] == len(list(client.export(user=user)))
    assert 0 < state["done"] < 20_000


@pytest.fixture
def waiting(running: Running) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts an import whose input has more to say."""
    with ExitStack() as opened:

        def start(*words: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-m", "guidkeep", "import", "-", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            opened.enter_context(process)
            opened.callback(process.kill)
            return process

        yield start


def test_an_input_that_pauses_does_not_hold_up_what_is_on_its_way(
    client: Client, user: str, waiting: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = waiting()
    line = f'{{"user":"{user}","text":"{"x" * 1000}"}}\n'.encode()
    assert process.stdin
    process.stdin.write(line * 200)  # three batches, and some that wait
    process.stdin.flush()
    while not client.list(user=user).records:
        assert process.poll() is None
    said, complaints = process.communicate(line, timeout=60)
    assert (process.returncode, complaints) == (0, b"")
    assert json.loads(said)["created"] == 201


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_while_the_input_says_nothing_it_can_be_interrupted(
    user: str, waiting: Callable[..., subprocess.Popen[bytes]], words: list[str]
) -> None:
    process = waiting(*words, "--refused", "refused")
    assert process.stdin
    process.stdin.write(b'{"user":5}\n' * 20_000)  # read when this has been written
    process.stdin.flush()
    while not Path("refused").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == exits.INTERRUPTED


def test_interrupted_while_the_service_is_gone_it_keeps_how_far_it_was(
    run: Run, capsys: Capture, monkeypatch: Patch, small: None, user: str
) -> None:
    write([{"user": user}] * 9)
    Failing(monkeypatch, 1, StoreUnavailable("away"))
    land = importing.Import._land

    async def interrupted(work: Any, watch: Any) -> None:
        if work._tally.done:
            monkeypatch.setattr(importing.Import, "_land", land)
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(30)
        await land(work, watch)

    monkeypatch.setattr(importing.Import, "_land", interrupted)
    assert run("import", FILE) == exits.INTERRUPTED
    assert capsys.readouterr().err.endswith("Interrupted. Run it again: it goes on from there.\n")
    assert json.loads(STATE.read_text())["state"]["done"] == 3


def test_standard_input_can_not_go_on(run: Run, capsys: Capture, monkeypatch: Patch) -> None:
    async def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(importing.Import, "run", interrupted)
    assert run("import", "-") == exits.INTERRUPTED
    assert capsys.readouterr().err == "guidkeep: Interrupted.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--create-only"], "with another --create-only"),
        (["--format", "csv"], "with another form"),
        (["--url", "http://127.0.0.1:9"], "with another address"),
    ],
)
def test_what_was_interrupted_otherwise_does_not_go_on(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str, words: list[str], said: str
) -> None:
    write([{"user": user}])
    with monkeypatch.context() as patch:
        Failing(patch, 0, StoreUnavailable("away"))
        assert run("import", FILE) == exits.UNAVAILABLE
    assert run("import", FILE, *words) == exits.USAGE
    err = capsys.readouterr().err
    assert said in err
    assert err.endswith("--restart begins anew.\n")
    with FILE.open("a") as file:
        file.write("\n")
    assert run("import", FILE) == exits.USAGE
    assert run("import", FILE, "--restart") == 0


DONE = {"done": 0, "created": 0, "updated": 0, "refused": 0, "refused_bytes": 0, "secret": ""}


@pytest.mark.parametrize(
    "kept",
    [
        {},
        [],
        {"task": 1, "state": {}},
        {"task": {}, "state": {}},
        {"task": {}, "state": {**DONE, "done": "1"}},
        {"task": {}, "state": {**DONE, "done": -1}},
        {"task": {}, "state": {**DONE, "secret": 1}},
    ],
)
def test_a_state_that_can_not_be_read_is_told(
    run: Run, capsys: Capture, user: str, kept: Any
) -> None:
    write([{"user": user}])
    STATE.write_text(json.dumps(kept))
    assert run("import", FILE) == exits.USAGE
    assert "records.import can't be read" in capsys.readouterr().err
    assert run("import", FILE, "--restart") == 0


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


def test_a_file_that_breaks_off_leaves_what_was_written_before(
    run: Run, client: Client, capsys: Capture, user: str, small: None
) -> None:
    FILE.write_text("[" + f'{{"user":"{user}"}},' * 7 + "{]")
    assert run("import", FILE) == exits.USAGE
    assert "An element of the array is not JSON" in capsys.readouterr().err


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
