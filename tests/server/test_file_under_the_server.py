"""An operator's commands on SQLite's files while a server serves them lose no acknowledged write.

The tests run a real server, clients that write all the time, and the real commands. As soon as a
path no longer leads to the open file, writes and `/readyz` are 503. The writes that were
acknowledged before are in the file, wherever that is, even if the server is killed then.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from guidkeep.stores.sqlite import file as sqlite_file
from tests.server.processes import GUIDKEEP, serving
from tests.server.test_start import refused
from tests.server.wire import Connection, record, request, wired
from tests.support import served, until, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.server.processes import Server
    from tests.server.wire import Answer

CLIENTS = 8
ENOUGH = 100
"""Writes that are acknowledged before the command runs."""


class Writers:
    """Clients that create records until a write is refused."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.answered: set[str] = set()
        self.refusals: list[Answer] = []

    async def _run(self) -> None:
        connection = await Connection.to(self._address)
        try:
            while not self.refusals:
                guid = uuid4().hex.upper()
                answer = await connection.ask("PUT", f"/guid/{guid}", record(guid))
                if answer.status == 201:
                    self.answered.add(guid)
                else:
                    self.refusals.append(answer)
        finally:
            connection.close()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Begins when enough was written; waits at the end until a write is refused."""
        clients = [asyncio.ensure_future(self._run()) for _ in range(CLIENTS)]
        await until(lambda: len(self.answered) >= ENOUGH)
        yield
        await asyncio.gather(*clients)
        assert all(refusal.is_problem(503) for refusal in self.refusals)


def sh(folder: Path, command: str) -> None:
    subprocess.run(command, shell=True, cwd=folder, check=True, timeout=30)  # noqa: S602 - as an operator does it


async def meanwhile(server: Server, folder: Path, command: str) -> set[str]:
    """Runs the command under load; returns the GUIDs of all writes with a 201."""
    writers = Writers(server.address)
    async with writers.writing():
        await asyncio.to_thread(sh, folder, command)
    return writers.answered


def is_not_ready(server: Server) -> bool:
    with wired(server.address) as wire:
        answer = wire.ask("GET", "/readyz")
    return answer.status == 503 and answer.is_problem(503)


def missing(path: Path, guids: set[str]) -> set[str]:
    """The GUIDs that a server does not have when it is started on that file."""
    found = set()
    with serving(path) as server, wired(server.address, timeout=60) as wire:
        page = "/guid?limit=1000"
        while page:
            answer = wire.ask("GET", page).json
            found |= {item["guid"] for item in answer["guids"] if item["user"] == item["guid"]}
            page = answer["next"]
        assert wire.ask("GET", "/readyz").status == 200
        assert wire.ask("POST", "/guid", record()).status == 201
        assert server.stop() == 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return guids - found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("command", "left", "repair"),
    [
        pytest.param("mv a.db b.db", "b.db", "", id="moved"),
        pytest.param("mv a.db b.db; mv a.db-wal b.db-wal", "b.db", "", id="moved with its log"),
        pytest.param("mv a.db b.db; cp b.db a.db", "b.db", "", id="moved, and a copy in its place"),
        pytest.param("mv ../data ../gone; mkdir ../data", "../gone/a.db", "", id="folder renamed"),
        pytest.param("ln a.db b.db; rm a.db", "b.db", "", id="renamed by a link"),
        pytest.param("ln a.db b.db", "a.db", "rm b.db", id="linked"),
        pytest.param("rm a.db-wal", "a.db", "", id="log removed"),
        pytest.param("rm a.db-wal a.db-shm", "a.db", "", id="log and index removed"),
        pytest.param("mv a.db-wal x", "a.db", "", id="log moved"),
        pytest.param("cp a.db-wal x; mv x a.db-wal", "a.db", "", id="log replaced"),
        pytest.param("chmod 0 . && mv a.db b.db", "b.db", "chmod 700 .", id="moved out of reach"),
    ],
)
def test_whatever_becomes_of_the_files_no_answered_write_is_lost(
    folder: Path, command: str, left: str, repair: str
) -> None:
    with serving(folder / "a.db") as server:
        guids = asyncio.run(meanwhile(server, folder, command))
        assert is_not_ready(server)
        with wired(server.address) as wire:
            assert wire.ask("GET", "/livez").status == 200
            some = next(iter(guids))
            assert wire.ask("GET", f"/guid/{some}").json["user"] == some, "reads go on"
            assert wire.ask("POST", "/guid", record()).is_problem(503)
        server.kill()
    sh(folder, repair)
    assert missing(folder / left, guids) == set()


@pytest.mark.parametrize(("command", "left"), [("mv a.db b.db", "b.db"), ("rm a.db-wal", "a.db")])
def test_nor_is_one_if_the_server_is_stopped_before_it_has_noticed(
    folder: Path, command: str, left: str
) -> None:
    with serving(folder / "a.db") as server:
        with wired(server.address) as wire:
            guid = uuid4().hex.upper()
            assert wire.ask("PUT", f"/guid/{guid}", record(guid)).status == 201
        sh(folder, command)
        assert server.stop() == 0
    assert missing(folder / left, {guid}) == set()


@pytest.mark.parametrize(
    ("command", "back"),
    [
        ("mv a.db b.db", "mv b.db a.db"),
        ("mv a.db-wal x", "mv x a.db-wal"),
        ("ln a.db b.db", "rm b.db"),
        ("mv ../data ../gone", "mv gone data"),
    ],
)
def test_what_is_put_back_is_served_again_without_a_restart(
    folder: Path, command: str, back: str
) -> None:
    with serving(folder / "a.db") as server:
        guids = asyncio.run(meanwhile(server, folder, command))
        assert is_not_ready(server)
        sh(folder if folder.exists() else folder.parent, back)
        with wired(server.address) as wire:
            assert wire.ask("GET", "/readyz").status == 200
            answer = wire.ask("POST", "/guid", record())
            assert answer.status == 201
        server.kill()
    assert missing(folder / "a.db", guids) == set()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("rm a.db", "the file was removed"),
        ("rm a.db*", "the file was removed"),
        ("mv a.db b.db", "the path no longer leads to this file"),
        ("rm a.db-wal", "the log (-wal) was removed"),
        (": > a.db-wal", "the log (-wal) was truncated"),
        (": > a.db", "another program wrote to the file"),
        ("cp backup a.db", "another program wrote to the file"),
        ("dd if=/dev/zero of=a.db bs=4096 count=1 conv=notrunc 2>&1", "another program wrote"),
        ("ln a.db b.db", "the file has a second name"),
    ],
)
def test_a_server_notices_by_itself_and_says_loudly_what_happened(
    folder: Path, tmp_path: Path, command: str, said: str
) -> None:
    """No request arrives meanwhile."""
    log = tmp_path / "log"
    with serving(folder / "backup") as other, wired(other.address) as wire:
        assert wire.ask("POST", "/guid", record("x" * 200)).status == 201
        assert other.stop() == 0
    with serving(folder / "a.db", log=log) as server:
        with wired(server.address) as wire:
            guid = wire.ask("POST", "/guid", record()).json["guid"]
        sh(folder, command)
        wait_until(lambda: "is not in its place" in log.read_text())
        events = [json.loads(line) for line in log.read_text().splitlines()]
        [event] = [event for event in events if "not in its place" in event["event"]]
        assert event["level"] == "error"
        assert event["reason"].startswith(said)
        assert event["path"] == str(folder / "a.db")
        assert event["advice"].endswith(".")
        assert is_not_ready(server)
        with wired(server.address) as wire:
            assert wire.ask("POST", "/guid", record()).is_problem(503)
            assert wire.ask("GET", f"/guid/{guid}").status == 200


def test_the_log_that_was_removed_is_in_the_file_before_anybody_writes_again(
    folder: Path, tmp_path: Path
) -> None:
    """So a server that is killed afterwards loses nothing."""
    with serving(folder / "a.db") as server:
        with wired(server.address) as wire:
            guids = {wire.ask("POST", "/guid", record()).json["guid"] for _ in range(20)}
        (folder / "a.db-wal").unlink()

        def is_whole() -> bool:
            shutil.copy(folder / "a.db", tmp_path / "copy.db")
            with closing(sqlite3.connect(tmp_path / "copy.db")) as copied:
                rows = copied.execute("SELECT hex(guid) FROM record").fetchall()
            return {guid for [guid] in rows} == guids

        wait_until(is_whole)
        server.kill()


def test_records_of_a_file_that_was_removed_can_still_be_exported(folder: Path) -> None:
    with serving(folder / "a.db") as server, wired(server.address) as wire:
        guids = {wire.ask("POST", "/guid", record()).json["guid"] for _ in range(20)}
        sh(folder, "rm a.db*")
        assert is_not_ready(server)
        listed = wire.ask("GET", "/guid?limit=1000").json["guids"]
        assert {item["guid"] for item in listed} == guids


@pytest.mark.parametrize(
    ("command", "name", "said"),
    [
        ("ln a.db b.db", "b.db", "2 names (hard links)"),
        ("ln a.db b.db", "a.db", "2 names (hard links)"),
        ("ln a.db b.db; rm a.db-lock", "a.db", "2 names (hard links)"),
        ("ln -s a.db b.db", "b.db", "Another process serves"),
        ("ln -s data/a.db ../b.db", "../b.db", "Another process serves"),
        ("ln -s data ../link", "../link/a.db", "Another process serves"),
        ("rm a.db-lock", "a.db", "Another process serves"),
        ("rm a.db-lock; touch a.db-lock", "a.db", "Another process serves"),
        ("mv a.db b.db", "b.db", "Another process serves"),
        ("mv a.db b.db", "a.db", "Another process serves"),
        ("mv ../data ../gone", "../gone/a.db", "Another process serves"),
    ],
)
def test_no_name_of_a_file_lets_a_second_server_in(
    folder: Path, command: str, name: str, said: str
) -> None:
    with serving(folder / "a.db") as server, wired(server.address) as wire:
        guid = wire.ask("POST", "/guid", record()).json["guid"]
        sh(folder, command)
        assert said in refused("--port", "0", "--store", f"sqlite:///{folder}/{name}")
        assert wire.ask("GET", f"/guid/{guid}").status == 200


@pytest.mark.parametrize("flag", ["--from", "--to"])
def test_no_name_of_a_file_that_is_served_lets_a_copy_in(folder: Path, flag: str) -> None:
    other = f"sqlite:///{folder.parent / 'other.db'}"
    other_flag = "--to" if flag == "--from" else "--from"
    with serving(other) as server:
        assert server.stop() == 0
    with serving(folder / "a.db"):
        sh(folder, "ln -s a.db b.db; rm a.db-lock")
        ended = subprocess.run(
            [*GUIDKEEP, "copy", flag, f"sqlite:///{folder / 'b.db'}", other_flag, other],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 2
    assert f"{flag}: Another process serves" in ended.stderr


def test_an_export_that_nobody_reads_does_not_let_the_log_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds no read transaction between its pages, so the log is restarted repeatedly."""
    monkeypatch.setattr(sqlite_file, "CHECKPOINT_PAGES", 50)
    large = record(pad="x" * 20_000)
    with served(store=f"sqlite:///{tmp_path / 'a.db'}") as server, wired(server.address) as wire:
        for _ in range(100):
            assert wire.ask("POST", "/guid", large).status == 201
        with wired(server.address, receive_buffer=4096) as reader:
            reader.send(request("GET", "/export"))
            assert reader.socket.recv(100)
            for _ in range(300):
                assert wire.ask("POST", "/guid", large).status == 201
            assert (tmp_path / "a.db-wal").stat().st_size < 1_000_000
        assert (tmp_path / "a.db").stat().st_size > 6_000_000
