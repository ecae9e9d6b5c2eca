"""SQLite's file: one process at a time, and a file that can't be served is refused."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import StartupError, StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.record import Query
from guidkeep.stores import open_store
from guidkeep.stores.sqlite.file import APPLICATION_ID, SCHEMA_VERSION
from tests.stores.records import contents, cut_off, make_record, plant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guidkeep.testing.opening import Opener

HOLD = """
import asyncio, sys
from guidkeep.metrics import Metrics
from guidkeep.record import Query
from guidkeep.stores import open_store
async def hold():
    await open_store(sys.argv[1], timeout=5, metrics=Metrics())
    print("held", flush=True)
    await asyncio.Event().wait()
asyncio.run(hold())
"""
OPEN = """
import asyncio, sys
from guidkeep.errors import StartupError, StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.record import Query
from guidkeep.stores import open_store
try:
    asyncio.run(open_store(sys.argv[1], timeout=1, metrics=Metrics()))
except StartupError as error:
    print(error)
"""


async def refusal(path: Path, timeout: float = 5) -> str:
    """Returns the message with which the file is refused."""
    with pytest.raises(StartupError) as caught:
        await open_store(f"sqlite:///{path}", timeout=timeout, metrics=Metrics())
    assert str(caught.value).startswith(("Can't use", "Another", str(path), "This"))
    return str(caught.value)


@pytest.fixture
def holder(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that serves the file."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, f"sqlite:///{file}"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


async def test_a_new_file_says_whose_it_is_and_which_schema_it_has(
    opener: Opener, file: Path
) -> None:
    async with opener():
        pass
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert APPLICATION_ID.to_bytes(4, "big") == b"GUID"


async def test_a_store_that_was_closed_leaves_one_whole_file(opener: Opener, file: Path) -> None:
    """The log is copied into the file, so the file alone is a backup."""
    async with opener() as store:
        await store.insert(make_record())
    assert {path.name for path in file.parent.iterdir()} == {file.name, f"{file.name}-lock"}


async def test_a_file_that_is_served_is_refused(opener: Opener, file: Path) -> None:
    async with opener() as store:
        assert "one file, one process" in await refusal(file)
        assert await store.insert(make_record()), "the one that serves it goes on"
    async with opener():
        pass


async def test_a_file_that_is_served_is_refused_under_another_name(
    opener: Opener, file: Path
) -> None:
    link = file.parent / "link.db"
    link.symlink_to(file)
    async with opener():
        assert "one file, one process" in await refusal(link)


async def test_a_file_that_another_process_serves_is_refused_until_that_is_killed(
    holder: subprocess.Popen[str], opener: Opener, file: Path
) -> None:
    assert "Another process serves the store" in await refusal(file)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    async with opener() as store:
        assert await store.insert(make_record())


async def test_a_newer_schema_is_refused(opener: Opener, file: Path) -> None:
    async with opener():
        pass
    plant(file, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = contents(file)
    assert "newer Guidkeep" in await refusal(file)
    assert contents(file) == before


async def test_a_database_of_another_program_is_refused_and_left_as_it_was(file: Path) -> None:
    plant(file, "CREATE TABLE record (guid)", "INSERT INTO record VALUES ('theirs')")
    before = contents(file)
    assert "another program" in await refusal(file)
    assert contents(file) == before


@pytest.mark.parametrize("content", [b"no database" * 1000, b"\0" * 8192], ids=["text", "zeros"])
async def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(
    file: Path, content: bytes
) -> None:
    with file.open("wb") as other:
        other.write(content)
    assert "not an SQLite database" in await refusal(file)
    assert contents(file) == content


async def test_a_file_whose_table_is_gone_is_refused(opener: Opener, file: Path) -> None:
    async with opener():
        pass
    plant(file, "DROP TABLE record")
    assert "no such table" in await refusal(file)


async def test_a_file_that_is_damaged_at_its_beginning_is_refused(
    opener: Opener, file: Path
) -> None:
    async with opener() as store:
        await store.insert(make_record())
    with file.open("r+b") as damaged:
        damaged.seek(100)
        damaged.write(b"\xff" * 3000)
    assert "restore it from a copy" in await refusal(file)


async def test_a_file_that_was_cut_off_is_refused(opener: Opener, file: Path) -> None:
    async with opener() as store:
        for number in range(100):
            await store.insert(make_record(number))
    cut_off(file, pages=1)
    assert "restore it from a copy" in await refusal(file)


async def test_a_record_that_is_damaged_keeps_no_server_from_starting_and_is_shown_nowhere(
    opener: Opener, file: Path
) -> None:
    """A stored text is not UTF-8; the error of Python's module would quote it."""
    async with opener() as store:
        await store.insert(make_record())
    plant(file, "UPDATE record SET metadata = CAST(x'7b22ff' || 'secret' AS TEXT)")
    with capture_logs() as logs:
        async with opener() as store:
            with pytest.raises(StoreUnavailable) as caught:
                await store.get(make_record().guid)
            with pytest.raises(StoreUnavailable):
                await store.page(Query(), 0)
    told = [event for event in logs if event["event"] == "store failed"]
    assert [event["error"] for event in told] == ["OperationalError"] * 2
    assert "secret" not in repr(logs) + str(caught.value)


async def test_a_folder_that_does_not_exist_is_named(file: Path) -> None:
    said = await refusal(file.parent / "nowhere" / "guidkeep.db")
    assert "No such file or directory" in said
    assert "folder must exist" in said


async def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert "it is a folder" in await refusal(tmp_path)


async def test_a_file_that_another_program_writes_is_refused_in_time(
    opener: Opener, file: Path
) -> None:
    async with opener():
        pass
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "Another program has it locked." in await refusal(file, timeout=0.1)
    async with opener():
        pass


async def test_an_sqlite_that_is_too_old_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.37.2")
    assert await refusal(file) == "This Python has SQLite 3.37.2; Guidkeep needs 3.38.0 or newer."


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite:///./:memory:"])
async def test_a_database_in_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """A database in memory could not keep acknowledged writes, and has no log."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StartupError, match=r"names no file|into WAL mode"):
        await open_store(url, timeout=1, metrics=Metrics())


async def test_a_relative_url_is_a_file_in_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = await open_store("sqlite:///with%20space%231.db", timeout=5, metrics=Metrics())
    await store.close()
    assert (tmp_path / "with space#1.db").exists()


@pytest.mark.parametrize(
    "url",
    ["sqlite://guidkeep.db", "sqlite:///", "sqlite://", "sqlite:///a.db?mode=ro"],
)
async def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(StartupError, match=r"names no file: write sqlite:///guidkeep\.db"):
        await open_store(url, timeout=1, metrics=Metrics())


@pytest.mark.parametrize("url", ["oracle://host/db", "guidkeep.db", "", "/var/guidkeep.db"])
async def test_a_url_of_no_known_store_is_refused(url: str) -> None:
    with pytest.raises(StartupError, match="there are sqlite:///FILE"):
        await open_store(url, timeout=1, metrics=Metrics())


@pytest.fixture
def mortal() -> list[str]:
    """Returns a prefix for commands that removes the superuser's right to ignore permissions."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("run by the superuser, and there is no setpriv")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]


def remove_lock(file: Path) -> None:
    file.with_name(f"{file.name}-lock").unlink()


def open_elsewhere(file: Path, privileges: list[str]) -> str:
    """Opens the store in another process; returns the message with which it is refused."""
    command = [*privileges, sys.executable, "-c", OPEN, f"sqlite:///{file}"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=30).stdout


@pytest.mark.parametrize("what", ["file", "folder"])
async def test_what_is_read_only_is_refused(
    opener: Opener, file: Path, mortal: list[str], what: str
) -> None:
    async with opener() as store:
        await store.insert(make_record())
    place, others = (file, 0o444) if what == "file" else (file.parent, 0o555)
    remove_lock(file)
    place.chmod(others)
    try:
        said = open_elsewhere(file, mortal)
    finally:
        place.chmod(0o755)
    assert said.startswith(f"Can't use the store {file}: ")
    assert "must" in said
    assert "be writable" in said
    async with opener() as store:
        assert await store.get(make_record().guid) == make_record()


@pytest.mark.parametrize("which", range(1, 6))
async def test_a_store_that_can_not_be_opened_leaves_nothing_open(
    opener: Opener, file: Path, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    """The failing connection checks the file, or is one of the store's."""
    opened: list[sqlite3.Connection] = []

    def fail_once(*arguments: Any, **options: Any) -> sqlite3.Connection:
        if len(opened) == which:
            failure = sqlite3.OperationalError("no file may be opened")
            failure.sqlite_errorname, failure.sqlite_errorcode = "SQLITE_CANTOPEN", 14
            raise failure
        opened.append(connect(*arguments, **{**options, "check_same_thread": False}))
        return opened[-1]

    connect = sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", fail_once)
        assert "no file may be opened" in await refusal(file)
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    async with opener():  # the file is not locked
        pass
