"""A live server, and the command, run in this process."""

from __future__ import annotations

import io
import sys
import time
from typing import TYPE_CHECKING

import pytest

from guidkeep import Client
from guidkeep.cli import exits, import_
from guidkeep.cli.commands import COMMANDS
from guidkeep.cli.main import main
from guidkeep.client import batches
from guidkeep.record import new_guid
from tests.support import Clock, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from guidkeep.server.server import Running

    Run = Callable[..., int]


_EXITS = {command.name: command.exits for command in COMMANDS}


class Terminal(io.StringIO):
    """The text written to a terminal."""

    def isatty(self) -> bool:
        return True


TEXT = '"n":1.10,"text":"Zo\\u00eb \U0001f600","deep":[{}, null]'
"""Members whose text has several forms."""


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a stopped clock."""
    store = tmp_path_factory.mktemp("cli") / "guidkeep.db"
    with served(Clock(time.time()), store=f"sqlite:///{store}", sweep_interval=3600.0) as started:
        yield started


@pytest.fixture(autouse=True)
def environment(running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Sets the service's address in the environment, an empty standard input, and a new folder."""
    monkeypatch.setenv("GUIDKEEP_URL", running.address)
    monkeypatch.delenv("GUIDKEEP_FORMAT", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    feed(monkeypatch, b"")


def feed(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    """Puts the text on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


@pytest.fixture
def client(running: Running) -> Iterator[Client]:
    with Client(running.address) as made:
        yield made


@pytest.fixture
def run() -> Run:
    """Runs the command with these words; returns its exit code, which must be in its row."""

    def run(*words: object) -> int:
        code = main([str(word) for word in words])
        assert code in {*_EXITS.get(str(words[0]), ()), exits.BROKEN_PIPE}, "not in its row"
        return code

    return run


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of three lines, with the progress saved after each."""
    monkeypatch.setattr(batches, "BATCH_LINES", 3)
    monkeypatch.setattr(import_, "BETWEEN_SAVES", -1.0)


@pytest.fixture
def guid() -> str:
    return new_guid()


@pytest.fixture
def user() -> str:
    """A user without records of other tests."""
    return new_guid()


@pytest.fixture
def records(client: Client, user: str) -> list[str]:
    """Returns the lines of an export of the user's records."""
    written = list(client.bulk(f'{{"user":"{user}",{TEXT},"i":{i}}}' for i in range(20)))
    return [f"{client.read(guid).text}\n" for guid in sorted(line.guid or "" for line in written)]
