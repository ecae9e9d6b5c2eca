"""`guidkeep import` after an interruption, an error, or a broken file, and its resumption."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep import AsyncClient, Client
from guidkeep.cli import exits, import_
from guidkeep.cli.input.source import Source
from guidkeep.client import Line
from guidkeep.errors import (
    GuidkeepError,
    OutcomeUnknown,
    Stopping,
    StoreUnavailable,
    Unreachable,
)
from guidkeep.record import new_guid
from tests.cli.conftest import feed
from tests.cli.files import FILE, REFUSED, STATE, Failing, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guidkeep.cli.input.items import Item
    from guidkeep.server.server import Running
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch


def test_interrupted_it_goes_on_where_it_was_and_creates_nothing_twice(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, small: None, user: str
) -> None:
    write([{"user": user, "n": n} if n % 10 else {"n": n} for n in range(100)])
    for good, error in ((3, StoreUnavailable("away")), (4, Stopping("It stops."))):
        with monkeypatch.context() as patch:
            Failing(patch, good, error)
            assert run("import", FILE) == exits.code_of(error)
        assert capsys.readouterr().err.endswith("Run it again: it resumes there.\n")
        with REFUSED.open("a") as refused:
            refused.write("of a batch that was not counted\n")
    assert json.loads(STATE.read_text())["state"]["done"] > 0
    assert run("import", FILE) == exits.FAILED
    said = capsys.readouterr()
    assert "guidkeep: Resuming after 21 records, where it was interrupted" in said.err
    told = json.loads(said.out)
    assert told["created"] + told["updated"] == 90
    assert sorted(record.metadata["n"] for record in client.export(user=user)) == [
        n for n in range(100) if n % 10
    ]
    assert len(REFUSED.read_text().splitlines()) == told["refused"] == 10
    assert not STATE.exists()


@pytest.mark.parametrize("is_named", [False, True])
def test_its_own_records_are_not_refused_when_it_goes_on(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, small: None, user: str,
    is_named: bool,
) -> None:  # fmt: skip
    guids = [new_guid() for _ in range(5)]
    write([{"user": user, "n": None} | ({"guid": guid} if is_named else {}) for guid in guids])
    write_batch = AsyncClient.write

    async def lost(client: Any, batch: Any, **options: Any) -> Any:
        # Saved before the request, because the process may be killed before the response.
        state = json.loads(STATE.read_text())["state"]
        assert state["sent"] == (batch[-1].number if is_named else 0)
        await write_batch(client, batch, **options)
        raise OutcomeUnknown("It may have happened.")

    monkeypatch.setattr(import_, "AT_ONCE", 1)
    with monkeypatch.context() as patch:
        patch.setattr(AsyncClient, "write", lost)
        assert run("import", FILE, "--create-only") == exits.UNKNOWN
    before = [record.text for record in client.export(user=user)]
    assert len(before) == 3
    if is_named:  # another client's record, in the part that was not sent
        client.create({"user": user}, guid=guids[4])
    capsys.readouterr()
    assert run("import", FILE, "--create-only") == (exits.FAILED if is_named else 0)
    told = json.loads(capsys.readouterr().out)
    assert (told["created"], told["refused"]) == ((4, 1) if is_named else (5, 0))
    assert set(before) < {record.text for record in client.export(user=user)}


def test_of_a_batch_what_was_done_before_a_line_that_was_not_is_counted(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, user: str
) -> None:
    write([{"guid": new_guid(), "user": user} for _ in range(10)])
    write_batch = AsyncClient.write

    async def all_but_one(client: Any, batch: Any, **options: Any) -> Any:
        found = await write_batch(client, [*batch[:6], *batch[7:]], **options)
        error = StoreUnavailable("away")
        return [*found[:6], Line(batch[6].number, 503, None, None, error), *found[6:]]

    with monkeypatch.context() as patch:
        patch.setattr(AsyncClient, "write", all_but_one)
        assert run("import", FILE, "--create-only") == exits.UNAVAILABLE
    assert json.loads(STATE.read_text())["state"]["done"] == 6
    capsys.readouterr()
    assert run("import", FILE, "--create-only") == 0
    said = capsys.readouterr()
    assert "Resuming after 6 records" in said.err
    assert json.loads(said.out)["created"] == len(list(client.export(user=user))) == 10


def test_whatever_ends_it_what_is_on_its_way_is_counted(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, small: None, user: str
) -> None:
    write([{"user": user}] * 8)
    items = Source.items

    def failing(source: Source) -> Iterator[Item]:
        yield from islice(items(source), 7)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Source, "items", failing)
        assert run("import", FILE) == exits.FAILED
    assert "can't be read or written: Input/output error." in capsys.readouterr().err
    assert json.loads(STATE.read_text())["state"]["done"] == 6
    assert len(list(client.export(user=user))) == 6
    assert run("import", FILE) == 0
    assert len(list(client.export(user=user))) == 8


def test_a_line_that_could_not_be_done_for_now_stops_it(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str
) -> None:
    write([{"user": user}])

    error: GuidkeepError = Unreachable("No connection.")

    async def write_nothing(_: Any, batch: Any, **__: Any) -> Any:
        return [Line(batch[0].number, 503, None, None, error)]

    monkeypatch.setattr(AsyncClient, "write", write_nothing)
    assert run("import", FILE) == exits.UNAVAILABLE
    assert "It stopped before the end: No connection." in capsys.readouterr().err
    error = StoreUnavailable("away")
    assert run("import", FILE) == exits.UNAVAILABLE
    assert "It stopped before the end: away Try again in a while." in capsys.readouterr().err
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
    assert said.endswith(b"guidkeep: Interrupted. Run it again: it resumes there.\n")
    state = json.loads(STATE.read_text())["state"]
    assert state["done"] == state["created"] == len(list(client.export(user=user)))
    assert 0 < state["done"] < 20_000


@pytest.fixture
def waiting(running: Running) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts an import whose input continues."""
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
    process.stdin.write(line * 200)  # three batches, and some waiting lines
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
    process.stdin.write(b'{"user":5}\n' * 20_000)  # this returns when the import has read them
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
    land = import_.Import._finish_first

    async def interrupted(work: Any, watch: Any) -> None:
        if work._tally.done:
            monkeypatch.setattr(import_.Import, "_finish_first", land)
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(30)
        await land(work, watch)

    monkeypatch.setattr(import_.Import, "_finish_first", interrupted)
    assert run("import", FILE) == exits.INTERRUPTED
    assert capsys.readouterr().err.endswith("Interrupted. Run it again: it resumes there.\n")
    assert json.loads(STATE.read_text())["state"]["done"] == 3


def test_standard_input_can_not_go_on(run: Run, capsys: Capture, monkeypatch: Patch) -> None:
    async def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_.Import, "run", interrupted)
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
    assert err.endswith("--restart starts over.\n")
    with FILE.open("a") as file:
        file.write("\n")
    assert run("import", FILE) == exits.USAGE
    assert run("import", FILE, "--restart") == 0


DONE = {"done": 0, "created": 0, "updated": 0, "refused": 0, "refused_bytes": 0, "sent": 0,
        "secret": ""}  # fmt: skip


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


def test_refusals_that_are_written_to_no_file_go_on_where_they_were(
    run: Run, capfd: pytest.CaptureFixture[str], monkeypatch: Patch, small: None
) -> None:
    write([{"user": 5}] * 9)
    words = ["--refused", "/dev/stderr"]
    with monkeypatch.context() as patch:
        Failing(patch, 1, StoreUnavailable("away"))
        assert run("import", FILE, *words) == exits.UNAVAILABLE
    told = [capfd.readouterr().err]
    assert run("import", FILE, *words) == exits.FAILED
    told.append(capfd.readouterr().err)
    assert [text.count('"status":') for text in told] == [3, 6]


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


BROKEN = {
    "json": ("[" + '{{"user":"{0}"}},' * 7 + '{{"user":5}},', "{{]", '{{"user":"{0}"}}]'),
    "csv": ("user,n\n" + "{0},1\n" * 7 + "{0}\n", '"x"y\n', "{0},1\n"),
}


@pytest.mark.parametrize(("before", "bad", "good"), BROKEN.values(), ids=BROKEN)
def test_what_is_before_the_place_where_a_file_breaks_off_is_written_and_it_goes_on_there(
    run: Run, client: Client, capsys: Capture, user: str, small: None, before: str, bad: str,
    good: str,
) -> None:  # fmt: skip
    FILE.write_text(f"{before}{bad}".format(user))
    for _ in range(2):
        assert run("import", FILE) == exits.FAILED
        assert capsys.readouterr().err.endswith(
            ". 7 records before it are written, 1 refused: see records.refused. Repair the "
            "rest of the file. Run it again: it resumes there.\n"
        )
        assert len(list(client.export(user=user))) == 7
    FILE.write_text(f"{before}{good}".format(user))
    assert run("import", FILE) == exits.FAILED
    told = json.loads(capsys.readouterr().out)
    assert (told["created"], told["refused"]) == (8, 1)
    assert len(list(client.export(user=user))) == 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-"], "3 records before it are written."),
        (["-", "--dry-run"], "3 records before it could be created."),
        (["records", "--dry-run"], "3 records before it could be created."),
    ],
)
def test_where_it_can_not_go_on_it_says_only_what_was_before(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str, words: list[str], said: str
) -> None:
    FILE.write_text("[" + f'{{"user":"{user}"}},' * 3 + "{]")
    feed(monkeypatch, FILE.read_bytes())
    assert run("import", *words) == exits.FAILED
    assert capsys.readouterr().err.endswith(f"). {said}\n")


def test_what_can_not_be_written_is_told_with_how_it_ended(
    run: Run, capsys: Capture, user: str
) -> None:
    FILE.write_text('[{"user":5},{]')
    assert run("import", FILE, "--dry-run") == exits.FAILED
    assert "0 records before it could be created, 1 would be refused" in capsys.readouterr().err
