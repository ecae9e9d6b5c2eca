"""Records to store, and the sizes of the batches that stored them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from guidkeep.testing.records import NOW, guid_of, make_record, newer
from tests.support import metric

if TYPE_CHECKING:
    from pathlib import Path

    from guidkeep.metrics import Metrics

PAGE = 4096
__all__ = [
    "NOW",
    "PAGE",
    "batches_of",
    "contents",
    "cut_off",
    "guid_of",
    "make_record",
    "newer",
    "plant",
]


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
