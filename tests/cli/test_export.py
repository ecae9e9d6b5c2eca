"""`guidkeep export`: equal to the byte, interrupted and resumed, and what it says of errors."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep import Client
from guidkeep.cli import exits, progress_bar
from guidkeep.cli import export as exporting
from guidkeep.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch

FILE, PART, STATE = Path("all"), Path("all.part"), Path("all.export")


def test_what_is_exported_and_imported_is_the_same_to_the_byte(
    run: Run, client: Client, capsys: Capture, user: str, records: list[str]
) -> None:
    assert run("export", FILE, "--user", user) == 0
    assert capsys.readouterr() == ("", "guidkeep: Exported 20 records to all.\n")
    assert FILE.read_text() == "".join(records)
    for record in client.export(user=user):
        client.delete(record.guid)
    assert run("import", FILE) == 0
    assert run("export", "again", "--user", user) == 0
    assert Path("again").read_bytes() == FILE.read_bytes()
    assert {path.name for path in Path().iterdir()} == {"all", "again"}


def test_without_a_file_it_goes_to_standard_output(
    run: Run, monkeypatch: Patch, user: str, records: list[str]
) -> None:
    output = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", output)
    assert run("export", "--user", user) == 0
    assert output.buffer.getvalue().decode() == "".join(records)


def test_whoever_reads_it_may_have_enough(user: str, records: list[str]) -> None:
    command = f"{sys.executable} -m guidkeep export | head -c 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"{", b"")
    assert done.returncode in (0, exits.BROKEN_PIPE)


@pytest.mark.parametrize("words", [("export",), ("completion", "bash")])
def test_when_nobody_reads_any_more_it_ends(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str, records: list[str], words: Any
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert run(*words, *(("--user", user) if words == ("export",) else ())) == exits.BROKEN_PIPE
    assert capsys.readouterr().err == ""


class Interrupted:
    """An export that ends after that many records."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int, error: BaseException) -> None:
        export = Client.export

        def broken(client: Any, **options: Any) -> Iterator[Any]:
            for at, record in enumerate(export(client, **options)):
                if at == count:
                    raise error
                yield record

        monkeypatch.setattr(Client, "export", broken)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), exits.INTERRUPTED, "Interrupted. Run it again"),
        (
            Unreachable("No."),
            exits.UNAVAILABLE,
            "It stopped before the end: No. Is it running there?",
        ),
    ],
)
@pytest.mark.parametrize("rest", [b"", b'{"guid":"FFFF'])
def test_interrupted_it_goes_on_after_the_last_whole_record(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str, records: list[str],
    error: BaseException, code: int, said: str, rest: bytes,
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        Interrupted(patch, 7, error)
        assert run("export", FILE, "--user", user) == code
    assert said in capsys.readouterr().err
    assert not FILE.exists()
    assert PART.read_text() == "".join(records[:7])
    with PART.open("ab") as part:
        part.write(rest)
    assert run("export", FILE, "--user", user) == 0
    assert "Resuming after 7 records" in capsys.readouterr().err
    assert FILE.read_text() == "".join(records)
    assert not PART.exists()
    assert not STATE.exists()


def test_what_was_interrupted_otherwise_does_not_go_on(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str, records: list[str]
) -> None:
    with monkeypatch.context() as patch:
        Interrupted(patch, 7, KeyboardInterrupt())
        assert run("export", FILE, "--user", user) == exits.INTERRUPTED
    assert run("export", FILE) == exits.USAGE
    assert "with another --user" in capsys.readouterr().err
    PART.write_text("no export\n")
    assert run("export", FILE, "--user", user) == exits.USAGE
    assert "all.part is not an export: --restart starts over." in capsys.readouterr().err
    assert run("export", FILE, "--user", user, "--restart") == 0
    assert FILE.read_text() == "".join(records)


def test_interrupted_before_the_first_record_it_begins(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str, records: list[str]
) -> None:
    with monkeypatch.context() as patch:
        Interrupted(patch, 0, KeyboardInterrupt())
        assert run("export", FILE, "--user", user) == exits.INTERRUPTED
    assert run("export", FILE, "--user", user) == 0
    assert "Goes on" not in capsys.readouterr().err
    assert FILE.read_text() == "".join(records)


def test_interrupted_in_the_first_record_it_begins(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str, records: list[str]
) -> None:
    with monkeypatch.context() as patch:
        Interrupted(patch, 1, KeyboardInterrupt())
        assert run("export", FILE, "--user", user) == exits.INTERRUPTED
    os.truncate(PART, 20)
    assert run("export", FILE, "--user", user) == 0
    assert "Goes on" not in capsys.readouterr().err
    assert FILE.read_text() == "".join(records)


def test_a_part_of_which_nothing_is_known_is_written_anew(
    run: Run, user: str, records: list[str]
) -> None:
    PART.write_text("of something else\n")
    assert run("export", FILE, "--user", user) == 0
    assert FILE.read_text() == "".join(records)


def test_it_says_how_far_it_is(run: Run, monkeypatch: Patch, user: str, records: list[str]) -> None:
    seen: list[tuple[float | None, int]] = []
    monkeypatch.setattr(exporting, "EVERY", 10)

    class Watched:
        def __enter__(self) -> Any:
            return lambda share, count: seen.append((share, count))

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(progress_bar, "shown", lambda *_: Watched())
    assert run("export", FILE, "--user", user) == 0
    guids = [json.loads(line)["guid"] for line in records]
    assert seen == [(int(guids[n - 1][:8], 16) / 2**32, n) for n in (10, 20)]


def test_a_file_that_can_not_be_written_is_told(run: Run, capsys: Capture) -> None:
    assert run("export", "missing/all") == exits.FAILED
    assert capsys.readouterr().err == (
        "guidkeep: missing/all can't be read or written: No such file or directory "
        "(missing/all.export).\n"
    )


def test_an_export_that_fails_names_the_file_that_the_user_named(
    run: Run, capsys: Capture, records: list[str], user: str
) -> None:
    """The error may be about a file beside it, which is then named in brackets."""
    Path("link").symlink_to("folder/all")
    Path("folder").mkdir()
    for path in (Path("folder/all.part"), Path("folder/all.export.new")):
        path.mkdir()
        assert run("export", "link", "--user", user) == exits.FAILED
        said = capsys.readouterr().err
        assert said.startswith("guidkeep: link can't be read or written: ")
        assert said.count(".export.new") == 0
        path.rmdir()
    assert run("export", "/dev/full", "--user", user) == exits.FAILED
    assert capsys.readouterr().err.startswith("guidkeep: /dev/full can't be read or written: No sp")


def test_an_import_that_fails_names_the_file_that_is_at_fault(
    run: Run, capsys: Capture, user: str
) -> None:
    FILE.write_text(f'{{"user":"{user}"}}\n{{"user":1}}\n')
    assert run("import", FILE, "--refused", "/dev/full") == exits.FAILED
    assert "/dev/full can't be read or written: No space left" in capsys.readouterr().err
    Path("all.import").unlink()
    Path("all.import.new").mkdir()
    assert run("import", FILE) == exits.FAILED
    assert capsys.readouterr().err == (
        "guidkeep: all.import can't be read or written: Is a directory.\n"
    )
    assert run("import", "/proc/self/mem") == exits.FAILED
    assert capsys.readouterr().err.startswith("guidkeep: /proc/self/mem can't be read or written:")


@pytest.mark.parametrize(
    ("count", "left"), [(0, set()), (7, {"all.part", "all.export"})], ids=["nothing", "a part"]
)
@pytest.mark.parametrize("former", [True, False])
def test_an_export_that_fails_leaves_the_former_file_and_says_what_else(
    run: Run, capsys: Capture, monkeypatch: Patch, user: str, records: list[str], count: int,
    left: set[str], former: bool,
) -> None:  # fmt: skip
    if former:
        FILE.write_text("former")
    with monkeypatch.context() as patch:
        Interrupted(patch, count, OSError(errno.ENOSPC, "No space left on device"))
        assert run("export", FILE, "--user", user, "--force") == exits.FAILED
    said = capsys.readouterr().err
    assert said.startswith("guidkeep: all can't be read or written: No space left on device.")
    assert ("all.part has the records so far." in said) == bool(left)
    there = {path.name for path in Path().iterdir()}
    assert there == left | ({"all"} if former else set())
    assert not former or FILE.read_text() == "former"
    assert run("export", FILE, "--user", user, "--force") == 0
    assert FILE.read_text() == "".join(records)
    assert [path.name for path in Path().iterdir()] == ["all"]


def test_where_nobody_answers_nothing_is_left(run: Run, capsys: Capture) -> None:
    words = ["export", FILE, "--url", "http://127.0.0.1:9", "--timeout", "100ms"]
    assert run(*words) == exits.UNAVAILABLE
    assert "Run it again" not in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_a_disk_that_is_full_is_told(
    records: list[str], user: str, running: Any, tmp_path: Path
) -> None:
    command = 'ulimit -f 1; exec "$@"'
    words = [sys.executable, "-m", "guidkeep", "export", "all", "--user", user]
    done = subprocess.run(
        ["bash", "-c", command, "bash", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == exits.FAILED
    assert done.stderr.startswith("guidkeep: all can't be read or written: File too large.")
    assert not FILE.exists()
