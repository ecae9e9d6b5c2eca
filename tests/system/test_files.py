"""Private files: private under any umask, and never opened through a link."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Literal

import pytest

from guidkeep.system import files
from guidkeep.system.files import create_private, open_private, open_regular, replace_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Mode = Literal["xb", "wb", "ab", "r+b"]

MODES: list[Mode] = ["xb", "wb", "ab", "r+b"]
MAKING: list[Mode] = ["xb", "wb", "ab"]


@pytest.fixture(params=[0o000, 0o022, 0o277])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    former = os.umask(request.param)
    yield
    os.umask(former)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", MAKING)
def test_a_new_file_is_its_owners_alone_whatever_the_umask_is(
    umask: None, path: Path, mode: Mode
) -> None:
    with open_private(path, mode) as file:
        file.write(b"secret")
    assert mode_of(path) == 0o600
    assert path.read_bytes() == b"secret"


def test_a_file_that_is_put_in_anothers_place_is_private_too(umask: None, path: Path) -> None:
    path.write_bytes(b"former")
    path.chmod(0o644)
    replace_private(path, b"new")
    assert mode_of(path) == 0o600
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("mode", "left"), [("wb", b"new"), ("ab", b"formernew"), ("r+b", b"newmer")]
)
def test_a_file_of_ours_is_opened_as_open_would(path: Path, mode: Mode, left: bytes) -> None:
    path.write_bytes(b"former")
    path.chmod(0o640)
    with open_private(path, mode) as file:
        file.write(b"new")
    assert path.read_bytes() == left
    assert mode_of(path) == 0o640, "what the owner chose stays"


def test_what_must_be_there_is_not_made_and_what_must_be_new_is_not_touched(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_private(path, "r+b")
    path.write_bytes(b"former")
    with pytest.raises(FileExistsError):
        open_private(path, "xb")
    assert path.read_bytes() == b"former"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("leads", [True, False], ids=["to a file", "nowhere"])
def test_a_planted_link_is_not_followed(path: Path, mode: Mode, leads: bool) -> None:
    victim = path.with_name("victim")
    if leads:
        victim.write_bytes(b"theirs")
    path.symlink_to(victim)
    with pytest.raises(OSError, match=r"symbolic link|File exists"):
        open_private(path, mode)
    assert victim.exists() == leads
    assert not leads or victim.read_bytes() == b"theirs"


@pytest.mark.parametrize("name", ["own", "own.new"])
def test_a_planted_link_is_replaced_and_what_it_leads_to_is_left_alone(
    path: Path, name: str
) -> None:
    victim = path.with_name("victim")
    victim.write_bytes(b"theirs")
    path.with_name(name).symlink_to(victim)
    replace_private(path, b"new")
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"
    assert victim.read_bytes() == b"theirs"


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b"])
def test_a_planted_hard_link_is_refused(path: Path, mode: Mode) -> None:
    victim = path.with_name("victim")
    victim.write_bytes(b"theirs")
    path.hardlink_to(victim)
    with pytest.raises(OSError, match="another name too"):
        open_private(path, mode)
    assert victim.read_bytes() == b"theirs"


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b"])
def test_a_file_of_another_users_is_refused(
    path: Path, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"theirs")
    if os.geteuid() == 0:
        os.chown(path, 65_534, 65_534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OSError, match="another user"):
        open_private(path, mode)
    assert path.read_bytes() == b"theirs"


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b"])
def test_a_fifo_is_refused_at_once(path: Path, mode: Mode) -> None:
    """A FIFO without a reader or writer: opening it like a file would block."""
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        open_private(path, mode)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="It is a folder"):
        open_regular(tmp_path)


def test_what_is_opened_waits_for_the_disk_as_any_file(path: Path) -> None:
    path.write_bytes(b"former")
    descriptor = open_regular(path)
    assert os.get_blocking(descriptor)
    os.close(descriptor)


def test_nothing_stays_open_when_it_fails(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    def noted(at: Path) -> int:
        opened.append(create_private(at))
        return opened[-1]

    def fail(*_: object) -> None:
        raise OSError("No more.")

    monkeypatch.setattr(files, "create_private", noted)
    monkeypatch.setattr(os, "fdopen", fail)
    with pytest.raises(OSError, match=r"No more\."):
        open_private(path, "xb")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


def test_no_program_that_is_started_inherits_them(path: Path) -> None:
    with open_private(path, "xb") as file:
        assert not os.get_inheritable(file.fileno())
