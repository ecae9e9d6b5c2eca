"""Records to store, and the sizes of the batches that stored them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from guidkeep.record import Record
from tests.support import metric

if TYPE_CHECKING:
    from pathlib import Path

    from guidkeep.metrics import Metrics

NOW = 1_425_144_345
PAGE = 4096


def guid_of(number: int) -> str:
    """Returns a GUID for each number; the GUIDs are in the numbers' order."""
    return f"{number:032X}"


def make_record(
    number: int = 1,
    *,
    user: object = "Ann",
    expire: int = NOW + 100,
    version: int = 1,
    metadata: str | None = None,
) -> Record:
    """Returns a record; without `metadata` its only member is the user."""
    text = json.dumps({"user": user}) if metadata is None else metadata
    return Record(guid_of(number), expire, version, text)


def newer(record: Record, *, user: str = "Bob", expire: int | None = None) -> Record:
    """Returns the record as an update leaves it."""
    return replace(
        record,
        version=record.version + 1,
        expire=record.expire if expire is None else expire,
        metadata=json.dumps({"user": user}),
    )


def batches_of(metrics: Metrics, kind: str = "write") -> tuple[int, int]:
    """Returns the number of batches and the number of their operations."""
    operations, *sizes = metric(metrics, "guidkeep_batch_size", kind)
    return int(sum(sizes)), int(operations)


def contents(file: Path) -> bytes:
    """Returns the records in the file."""
    return file.read_bytes()


def cut_off(file: Path, *, pages: int) -> None:
    """Removes that many pages from the end of the file."""
    with file.open("r+b") as cut:
        cut.truncate(file.stat().st_size - pages * PAGE)


def plant(file: Path, *statements: str) -> None:
    """Changes a database outside of the store."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
