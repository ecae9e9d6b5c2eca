"""`guidkeep export`: equal to the byte, into a file or a pipe, interrupted and resumed."""

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
from guidkeep.cli.output_files import Target, target_of
from guidkeep.errors import Unreachable
from tests.cli.conftest import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch

FILE, PART, STATE = Path("all"), Path("all.part"), Path("all.export")
TEXT = '"n":1.10,"text":"Zo\\u00eb \U0001f600","deep":[{}, null]'


@pytest.fixture
def records(client: Client, user: str) -> list[str]:
    """Returns the lines of an export of the user's records."""
    written = list(client.bulk(f'{{"user":"{user}",{TEXT},"i":{i}}}' for i in range(20)))
    return [f"{client.read(guid).text}\n" for guid in sorted(line.guid or "" for line in written)]


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


def test_a_new_file_is_its_owners_alone(run: Run, records: list[str], user: str) -> None:
    former = os.umask(0)
    try:
        assert run("export", FILE, "--user", user) == 0
    finally:
        os.umask(former)
    assert FILE.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_a_file_that_is_replaced_keeps_its_mode_and_owner(
    run: Run, capsys: Capture, records: list[str], user: str, mode: int
) -> None:
    FILE.write_text("of worth\n")
    if os.geteuid() == 0:
        os.chown(FILE, 65_534, 65_534)
    FILE.chmod(mode)
    before = FILE.stat()
    assert run("export", FILE, "--user", user) == exits.USAGE
    assert capsys.readouterr().err == "guidkeep: all already exists: --force replaces it.\n"
    assert FILE.read_text() == "of worth\n"
    assert run("export", FILE, "--user", user, "--force") == 0
    after = FILE.stat()
    assert FILE.read_text() == "".join(records)
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert [path.name for path in Path().iterdir()] == ["all"]


def test_where_owner_and_group_can_not_be_kept_nobody_else_gets_to_read_it(
    run: Run, monkeypatch: Patch, records: list[str], user: str
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    FILE.touch()
    FILE.chmod(0o664)
    monkeypatch.setattr(os, "fchown", refuse)
    assert run("export", FILE, "--user", user, "--force") == 0
    assert FILE.stat().st_mode & 0o777 == 0o604


@pytest.mark.parametrize(("said", "code"), [("y\n", 0), ("YES\n", 0), ("n\n", 2), ("", 2)])
def test_on_a_terminal_it_asks_before_it_replaces(
    run: Run, monkeypatch: Patch, records: list[str], user: str, said: str, code: int
) -> None:
    FILE.write_text("of worth\n")
    asking = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(said))
    monkeypatch.setattr(sys, "stderr", asking)
    assert run("export", FILE, "--user", user) == code
    assert asking.getvalue().startswith("all already exists. Replace it? [y/N] ")
    assert FILE.read_text() == ("of worth\n" if code else "".join(records))
    assert ("all is unchanged." in asking.getvalue()) == bool(code)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_is_followed_and_stays(
    run: Run, records: list[str], user: str, depth: int, is_there: bool
) -> None:
    Path("folder").mkdir()
    target = Path("folder/target")
    if is_there:
        target.write_text("former")
    Path("first").symlink_to("folder/target")
    Path("second").symlink_to("first")
    name = ("first", "second")[depth - 1]
    assert run("export", name, "--user", user, "--force") == 0
    assert Path("first").is_symlink()
    assert Path("second").is_symlink()
    assert target.read_text() == "".join(records)
    assert {path.name for path in Path().iterdir()} == {"folder", "first", "second"}
    assert [path.name for path in Path("folder").iterdir()] == ["target"]


@pytest.mark.parametrize("named", ["fifo", "link", "/dev/fd/{0}", "/proc/self/fd/{0}", "to-fd"])
def test_what_is_no_regular_file_is_written_to_as_it_is(
    run: Run, capsys: Capture, records: list[str], user: str, named: str
) -> None:
    os.mkfifo("fifo")
    Path("link").symlink_to("fifo")
    reading = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open("fifo", os.O_WRONLY)
    Path("to-fd").symlink_to(f"/dev/fd/{writing}")
    try:
        assert run("export", named.format(writing), "--user", user) == 0
        assert os.read(reading, 1 << 16).decode() == "".join(records)
    finally:
        os.close(reading)
        os.close(writing)
    assert Path("fifo").is_fifo()
    assert {path.name for path in Path().iterdir()} == {"fifo", "link", "to-fd"}
    assert capsys.readouterr().err == f"guidkeep: Exported 20 records to {named.format(writing)}.\n"


@pytest.mark.parametrize("words", [[], ["-"], ["/dev/stdout"], ["/dev/fd/1"], [">(cat)"]])
def test_standard_output_has_many_names(
    records: list[str], user: str, tmp_path: Path, words: list[str]
) -> None:
    file = " ".join(words)
    command = f"echo first; {sys.executable} -m guidkeep export {file} --user {user}; echo last"
    done = subprocess.run(
        ["bash", "-c", f"({command}) > out; cat out"], capture_output=True, text=True, check=True
    )
    if file == ">(cat)":  # bash does not wait for it
        assert sorted(done.stdout) == sorted("first\n" + "".join(records) + "last\n")
    else:
        assert done.stdout == "first\n" + "".join(records) + "last\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_devices_are_written_to_as_they_are() -> None:
    assert target_of("/dev/null").special == Path("/dev/null")
    assert target_of("/dev/stdout").descriptor == 1
    assert target_of("/dev/stderr").descriptor == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (".", ". is a folder: name a file in it."),
        ("/", "/ is a folder: name a file in it."),
        ("folder", "folder is a folder: name a file in it."),
        ("folder/", "folder/ is a folder: name a file in it."),
        ("to-folder", "to-folder is a folder: name a file in it."),
        ("new/", "new/ is not a file: its name ends in a slash."),
        ("", "The name of the file is empty; - is standard output."),
        ("loop", "loop can't be written: Too many levels of symbolic links."),
        ("victim/all", "victim/all can't be written: Not a directory."),
    ],
)
def test_what_can_be_no_file_is_told(run: Run, capsys: Capture, name: str, said: str) -> None:
    Path("folder").mkdir()
    Path("to-folder").symlink_to("folder")
    Path("loop").symlink_to("loop")
    Path("victim").touch()
    assert run("export", name, "--force") == exits.USAGE
    assert capsys.readouterr().err == f"guidkeep: {said}\n"
    assert {path.name for path in Path().iterdir()} == {"folder", "to-folder", "loop", "victim"}


def test_a_disk_is_not_overwritten(run: Run, capsys: Capture, monkeypatch: Patch) -> None:
    block = os.stat_result((0o060600, *[0] * 9))
    monkeypatch.setattr("guidkeep.cli.output_files.os.stat", lambda _: block)
    assert run("export", "disk", "--force") == exits.USAGE
    assert "disk is a disk, which would be overwritten" in capsys.readouterr().err


@pytest.mark.parametrize("planted", ["all.part", "all.export", "all.export.new"])
def test_what_is_planted_beside_it_is_not_written_through(
    run: Run, records: list[str], user: str, planted: str
) -> None:
    victim = Path("victim")
    victim.write_text("theirs")
    Path(planted).symlink_to(victim)
    assert run("export", FILE, "--user", user, "--restart") == 0
    assert victim.read_text() == "theirs"
    assert FILE.read_text() == "".join(records)
    assert {path.name for path in Path().iterdir()} == {"victim", "all"}


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


def test_a_reader_that_has_had_enough_of_a_fifo_is_worth_no_word(
    run: Run, capsys: Capture, monkeypatch: Patch, records: list[str], user: str
) -> None:
    os.mkfifo("fifo")
    reading = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
    opened = Target.open

    def gone(target: Target) -> Any:
        stream = opened(target)
        os.close(reading)
        return stream

    monkeypatch.setattr(Target, "open", gone)
    assert run("export", "fifo", "--user", user) == exits.BROKEN_PIPE
    assert capsys.readouterr().err == ""
