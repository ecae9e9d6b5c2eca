"""Helpers for tests of SQLite's files."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import struct
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics
from guidkeep.stores import open_store
from guidkeep.stores.sqlite.locks import LOCK_BYTE
from guidkeep.stores.sqlite.store import SQLiteStore

if TYPE_CHECKING:
    from pathlib import Path

    from guidkeep.stores import Store
    from guidkeep.stores.sqlite.claim import Claim

OPEN_ELSEWHERE = """
import asyncio, sys
from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics
from guidkeep.stores import open_store
try:
    asyncio.run(open_store(sys.argv[1], timeout=1, metrics=Metrics()))
except StartupError as error:
    print(error)
"""


async def refusal(url: str) -> str:
    with pytest.raises(StartupError) as caught:
        await open_store(url, timeout=1, metrics=Metrics())
    return str(caught.value)


def claim_of(store: Store) -> Claim:
    assert isinstance(store, SQLiteStore)
    return store._file.claim


def take_lock(descriptor: int) -> None:
    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, LOCK_BYTE, 1, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)


def sh(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def rename(file: Path, other: Path) -> None:
    file.rename(other)


def back_up(file: Path, copy: Path) -> None:
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def change_mode(file: Path, mode: int) -> None:
    file.chmod(mode)


def touch(file: Path) -> None:
    file.touch()


def size(file: Path) -> int:
    return file.stat().st_size


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
