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
    """A GUID for every number, in the numbers' order."""
    return f"{number:032X}"


def make_record(
    number: int = 1,
    *,
    user: object = "Ann",
    expire: int = NOW + 100,
    version: int = 1,
    metadata: str | None = None,
) -> Record:
    """A record; unless `metadata` is given its only member is that user."""
    text = json.dumps({"user": user}) if metadata is None else metadata
    return Record(guid_of(number), expire, version, text)


def newer(record: Record, *, user: str = "Bob", expire: int | None = None) -> Record:
    """What an update makes of it."""
    return replace(
        record,
        version=record.version + 1,
        expire=record.expire if expire is None else expire,
        metadata=json.dumps({"user": user}),
    )


def batches_of(metrics: Metrics, kind: str = "write") -> tuple[int, int]:
    """How many batches there were, and how many operations in all of them."""
    operations, *sizes = metric(metrics, "guidkeep_batch_size", kind)
    return int(sum(sizes)), int(operations)


def contents(file: Path) -> bytes:
    """What is in the file."""
    return file.read_bytes()


def cut_off(file: Path, *, pages: int) -> None:
    """Takes away as many pages from its end."""
    with file.open("r+b") as cut:
        cut.truncate(file.stat().st_size - pages * PAGE)


def plant(file: Path, *statements: str) -> None:
    """Changes a database behind the store's back."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
