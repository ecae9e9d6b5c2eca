"""The file that an export writes: its mode, links to it, what is no regular file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.cli import exits
from guidkeep.cli.output_files import Target, target_of
from tests.cli.conftest import Terminal

if TYPE_CHECKING:
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch

FILE = Path("all")


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
