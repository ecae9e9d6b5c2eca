"""`guidkeep export`: all records as NDJSON, to standard output or into a file.

A file is written as FILE.part and renamed at the end, so a FILE that is there is whole. After an
interruption the last whole record of FILE.part says where to go on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from guidkeep import progress
from guidkeep.client import Record
from guidkeep.commands.output import complain
from guidkeep.commands.resuming import Progress
from guidkeep.commands.running import GOES_ON, connected, guarded
from guidkeep.errors import StartupError
from guidkeep.record import share_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guidkeep.progress import Watch

    Options = dict[str, Any]

TAIL = 32 << 20
"""Bytes at a file's end in which its last whole line is looked for."""
EVERY = 500
"""Records between two looks at how far it is."""


def run(options: Options) -> int:
    """Exports; returns the exit code."""
    if options["file"]:
        return guarded(lambda: _to_file(options), again=GOES_ON)
    return guarded(lambda: _to_output(options))


def _to_output(options: Options) -> int:
    with connected(options) as client:
        for record in client.export(user=options["user"]):
            sys.stdout.buffer.write(_line(record))
        sys.stdout.buffer.flush()
    return 0


def _to_file(options: Options) -> int:
    path = Path(options["file"])
    part = path.with_name(path.name + ".part")
    with connected(options) as client:
        kept = Progress(
            path.with_name(path.name + ".export"),
            {"address": client.url, "--user": options["user"]},
            {},
        )
        after, count = _begin(part, kept, is_anew=options["restart"])
        kept.save({})
        with part.open("ab") as file, progress.shown("exporting", sys.stderr) as watch:
            records = client.export(user=options["user"], after=after)
            count = _write(records, file, count, watch)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        kept.drop()
    complain(f"Exported {count:,} records to {path}.")
    return 0


def _begin(part: Path, kept: Progress, *, is_anew: bool) -> tuple[str | None, int]:
    """The GUID after which it goes on, and how many records are there already."""
    if is_anew or not part.exists() or kept.load() is None:
        part.unlink(missing_ok=True)
        return None, 0
    after, count = _cut(part)
    if after:
        complain(
            f"Goes on after {count:,} records, where it was interrupted; they may have changed "
            "since, and --restart begins anew."
        )
    return after, count


def _cut(part: Path) -> tuple[str | None, int]:
    """Cuts off what is no whole line; the last record's GUID, and how many there are."""
    with part.open("r+b") as file:
        count = 0
        while piece := file.read(1 << 20):
            count += piece.count(b"\n")
        size = file.tell()
        file.seek(max(size - TAIL, 0))
        tail = file.read()
        whole = tail.rfind(b"\n") + 1
        file.truncate(size - len(tail) + whole)
    last = tail[:whole].rstrip(b"\n").rpartition(b"\n")[2]
    try:
        return (Record(last.decode()).guid if last else None), count
    except (ValueError, KeyError, TypeError) as error:
        raise StartupError(f"{part} is no export: --restart begins anew.") from error


def _write(records: Iterable[Record], file: IO[bytes], count: int, watch: Watch) -> int:
    for record in records:
        file.write(_line(record))
        count += 1
        if count % EVERY == 0:
            watch(share_of(record.guid), count)  # they come in the order of GUIDs
    return count


def _line(record: Record) -> bytes:
    return record.text.encode() + b"\n"
