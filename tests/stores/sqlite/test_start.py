"""SQLite's files at start: private, locked, and refused with a message if they can't be served."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics
from guidkeep.stores import open_store
from tests.stores.records import guid_of, make_record
from tests.stores.sqlite.on_disk import (
    OPEN_ELSEWHERE,
    beside,
    change_mode,
    claim_of,
    modes,
    names,
    refusal,
    sh,
    size,
    take_lock,
    touch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from guidkeep.testing.opening import Opener


@pytest.fixture(params=[0o000, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    former = os.umask(request.param)
    yield
    os.umask(former)


async def test_all_its_files_are_the_owners_alone_whatever_the_umask_is(
    umask: None, opener: Opener, file: Path
) -> None:
    async with opener() as store:
        await store.insert(make_record())
        names = ["", "-wal", "-shm", "-lock"]
        assert modes(file.parent) == {f"{file.name}{name}": 0o600 for name in names}


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
async def test_a_file_that_everybody_may_read_is_served_with_a_warning_that_mends_it(
    opener: Opener, file: Path, mode: int
) -> None:
    async with opener() as store:
        await store.insert(make_record())
    change_mode(file, mode)
    with capture_logs() as logs:
        async with opener() as store:
            assert await store.get(guid_of(1)) == make_record()
    [event] = [event for event in logs if event["log_level"] == "warning"]
    assert "every user of this machine" in event["event"]
    assert modes(file.parent)[file.name] == mode, "that is the operator's to decide"
    sh("sh", "-c", event["advice"])
    with capture_logs() as logs:
        async with opener():
            assert {mode & 0o007 for mode in modes(file.parent).values()} == {0}
    assert logs == []


async def test_what_a_group_may_read_is_the_operators_choice(opener: Opener, file: Path) -> None:
    async with opener():
        pass
    change_mode(file, 0o640)
    with capture_logs() as logs:
        async with opener():
            assert modes(file.parent)[f"{file.name}-wal"] == 0o640
    assert logs == []


async def test_a_lock_file_of_a_former_version_becomes_private(opener: Opener, file: Path) -> None:
    """A user who can read the file can lock it, and keep the server from starting."""
    lock = beside(file, "-lock")
    lock.touch(0o644)
    lock.chmod(0o644)
    async with opener():
        assert modes(file.parent)[lock.name] == 0o600


# Files that are refused at start.


def make_socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind(os.path.relpath(path))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "it is not a regular file"),
        (make_socket, "it is not a regular file"),
        (os.mkdir, "it is a folder"),
        (lambda path: path.symlink_to(path), "it is not a regular file"),
        (lambda path: path.symlink_to("/dev/null/x"), "Not a directory"),
    ],
    ids=["fifo", "socket", "folder", "loop", "link through a file"],
)
async def test_what_is_no_file_is_refused_with_a_sentence(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], object],
    said: str,
) -> None:
    monkeypatch.chdir(file.parent)
    make(file)
    with pytest.raises(StartupError, match=said):
        await open_store(f"sqlite:///{file}", timeout=1, metrics=Metrics())
    assert names(file.parent) == {file.name}, "nothing was made beside it"


async def test_a_file_with_two_names_is_refused_under_either(opener: Opener, file: Path) -> None:
    async with opener() as store:
        await store.insert(make_record())
    other = file.with_name("other.db")
    other.hardlink_to(file)
    for path in (file, other):
        said = await refusal(f"sqlite:///{path}")
        assert "2 names (hard links)" in said
        assert f"find -samefile {path}" in said
    other.unlink()
    async with opener() as store:
        assert await store.get(guid_of(1)) == make_record()


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
async def test_a_log_without_its_file_is_not_thrown_away(
    opener: Opener, file: Path, left: str
) -> None:
    async with opener() as store:
        await store.insert(make_record())
        shutil.copy(beside(file, "-wal"), file.parent / "kept")
    shutil.move(file, file.parent / "moved.db")
    shutil.copy(file.parent / "kept", beside(file, "-wal"))
    if left == "an empty file":
        touch(file)
    said = await refusal(f"sqlite:///{file}")
    assert "guidkeep.db-wal" in said
    assert "move it back" in said
    assert size(beside(file, "-wal"))


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", "-lock"])
async def test_a_link_that_was_planted_beside_it_is_refused(
    opener: Opener, file: Path, suffix: str
) -> None:
    async with opener():
        pass
    victim = file.with_name("victim")
    victim.write_bytes(b"theirs")
    beside(file, suffix).unlink(missing_ok=True)
    beside(file, suffix).symlink_to(victim)
    assert f"{file.name}{suffix}" in await refusal(f"sqlite:///{file}")
    assert victim.read_bytes() == b"theirs"


async def test_a_path_that_is_too_long_for_sqlite_is_refused_and_nothing_made(
    tmp_path: Path,
) -> None:
    folder = tmp_path
    while len(str(folder)) < 500:
        folder /= "x" * 20
    folder.mkdir(parents=True)
    assert "longer than 504 bytes" in await refusal(f"sqlite:///{folder / 'guidkeep.db'}")
    assert list(folder.iterdir()) == []
    assert "too long" in await refusal(f"sqlite:///{tmp_path / ('x' * 300)}")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///a.db?",
        "sqlite:///a.db/",
        "sqlite:///a/..",
        "sqlite:///.",
        "sqlite:///a.db#1",
        "sqlite:///a%00.db",
        "sqlite:///a.db%00",
        "sqlite:///a\0.db",
        "sqlite:///a\n.db",
        "sqlite:///a\udcff.db",
        "sqlite:///folder/:memory:",
    ],
)
async def test_a_url_that_could_be_read_in_two_ways_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (await refusal(url)).endswith(".")
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("acme%231.db", b"acme#1.db"),
        ("what%3F.db", b"what?.db"),
        ("%FF.db", b"\xff.db"),
        ("%C3%A9.db", "é.db".encode()),
        ("é.db", "é.db".encode()),
        ("100%25.db", b"100%.db"),
        ("a@b:c;d=e&f.db", b"a@b:c;d=e&f.db"),
    ],
)
async def test_any_name_can_be_written_in_a_url(tmp_path: Path, text: str, name: bytes) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/{text}", timeout=5, metrics=Metrics())
    assert name in os.listdir(os.fsencode(tmp_path))  # noqa: PTH208 - as bytes
    await store.close()


async def test_where_the_database_itself_can_not_be_locked_the_file_beside_it_is(
    opener: Opener, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    async with opener() as store:
        assert await store.insert(make_record())
        assert "Another process serves" in await refusal(f"sqlite:///{file}")


async def test_the_lock_on_the_database_itself_keeps_another_process_out(
    opener: Opener, file: Path
) -> None:
    async with opener() as store:
        beside(file, "-lock").unlink()
        for _ in range(2):
            said = sh(sys.executable, "-c", OPEN_ELSEWHERE, f"sqlite:///{file}")
            assert "Another process serves the store" in said
        assert await store.insert(make_record())


async def test_a_lock_on_the_database_is_respected_whoever_holds_it(file: Path) -> None:
    with file.open("wb") as held:
        take_lock(held.fileno())
        assert "Another process serves" in await refusal(f"sqlite:///{file}")


async def test_readers_of_the_files_may_lock_what_they_like(opener: Opener, file: Path) -> None:
    """A reader's `flock` on the database does not keep a server from starting."""
    async with opener():
        pass
    with file.open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_EX)
        async with opener() as store:
            assert await store.insert(make_record())


READER = """
import fcntl, sys, time
held = [open(name, "rb") for name in sys.argv[2:]]
for file in held:
    if file.name.endswith("-lock"):
        fcntl.flock(file, getattr(fcntl, sys.argv[1]))
    else:
        fcntl.lockf(file, fcntl.LOCK_SH)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def reader(opener: Opener, file: Path) -> Iterator[Callable[..., Any]]:
    """Another program, which may read the files and holds locks on them."""
    started: list[subprocess.Popen[str]] = []

    def hold(*suffixes: str, kind: str = "LOCK_SH") -> subprocess.Popen[str]:
        for suffix in suffixes:
            beside(file, suffix).touch()
            beside(file, suffix).chmod(0o644)
        paths = [str(beside(file, suffix)) for suffix in suffixes]
        words = [sys.executable, "-c", READER, kind, *paths]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout
        assert started[-1].stdout.readline() == "held\n"
        return started[-1]

    yield hold
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("suffix", ["", "-lock"])
async def test_a_readers_lock_keeps_no_server_from_starting_and_lets_no_second_one_in(
    reader: Callable[..., Any], opener: Opener, file: Path, suffix: str
) -> None:
    async with opener() as store:
        await store.insert(make_record())
    holder = reader(suffix)
    async with opener() as store:
        assert await store.insert(make_record(2))
        assert "Another process serves the store" in await refusal(f"sqlite:///{file}")
        assert claim_of(store).look()
        holder.kill()
        holder.wait()
        assert claim_of(store).look()
        beside(file, "-lock").unlink()
        assert "Another process serves the store" in await refusal(f"sqlite:///{file}")
        assert await store.insert(make_record(3))


async def test_where_readers_hold_both_locks_that_is_said(
    reader: Callable[..., Any], opener: Opener, file: Path
) -> None:
    async with opener():
        pass
    holder = reader("", "-lock")
    said = await refusal(f"sqlite:///{file}")
    assert "can't tell whether another process serves it" in said
    assert "lslocks" in said
    holder.kill()
    holder.wait()
    async with opener() as store:
        assert await store.insert(make_record())


async def test_a_lock_that_somebody_may_hold_who_only_reads_is_told_with_what_helps(
    reader: Callable[..., Any], opener: Opener, file: Path
) -> None:
    async with opener():
        pass
    reader("-lock", kind="LOCK_EX")
    for _ in range(2):
        said = await refusal(f"sqlite:///{file}")
        assert f"holds a lock on {file.name}-lock" in said
        assert f"if no Guidkeep runs, remove {file.name}-lock" in said
    beside(file, "-lock").unlink()
    async with opener() as store:
        assert await store.insert(make_record())


async def test_a_lock_file_of_another_user_is_used_as_it_is(
    opener: Opener, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opener():
        pass
    beside(file, "-lock").chmod(0o660)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    async with opener():
        assert modes(file.parent)[f"{file.name}-lock"] == 0o660


async def test_what_has_no_log_to_write_ahead_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect_to_memory(*_: object, **options: Any) -> sqlite3.Connection:
        return connect(":memory:", **options)

    connect: Callable[..., sqlite3.Connection] = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", connect_to_memory)
    assert "into WAL mode" in await refusal(f"sqlite:///{file}")


async def test_a_file_that_is_replaced_while_it_is_opened_is_refused(
    opener: Opener, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link_and_connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        file.with_name("other.db").unlink(missing_ok=True)
        file.with_name("other.db").hardlink_to(file)
        return connect(*arguments, **options)

    connect: Callable[..., sqlite3.Connection] = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", link_and_connect)
    assert "a second name" in await refusal(f"sqlite:///{file}")
