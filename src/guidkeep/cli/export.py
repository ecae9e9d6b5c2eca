"""`guidkeep export`: all records as NDJSON, to standard output or into a file.

A file is written as FILE.part and renamed at the end, so an existing FILE is complete. After an
interruption the export resumes after the last complete record of FILE.part; if there is none yet,
no file is left. A non-regular file is written directly: see `guidkeep.cli.output_files`.
"""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any

from guidkeep.cli import progress_bar
from guidkeep.cli.checkpoint import Checkpoint
from guidkeep.cli.output import complain, naming
from guidkeep.cli.output_files import STANDARD_OUTPUT, put, require_consent, target_of
from guidkeep.cli.runner import GOES_ON, connected, guarded
from guidkeep.client import Record
from guidkeep.errors import StartupError
from guidkeep.record import share_of
from guidkeep.system.files import open_private

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from guidkeep.cli.progress_bar import Watch

    Options = dict[str, Any]

TAIL = 32 << 20
"""Bytes at a file's end that are searched for its last complete line."""
EVERY = 500
"""Records between two updates of the progress."""


def run(options: Options) -> int:
    """Exports; returns the exit code."""
    work = Export(options)
    return guarded(work.run, again=work.note_on_the_rest)


class Export:
    """One export.

    Args:
        options: the command's options.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._part: Path | None = None

    def run(self) -> int:
        """Writes all records; returns the exit code."""
        name = self._options["file"]
        target = target_of(STANDARD_OUTPUT if name is None else name)
        require_consent(target, is_forced=self._options["force"])
        if target.name == STANDARD_OUTPUT:
            self._to_stream(sys.stdout.buffer)
            return 0
        with naming(target.name):
            if target.path is not None:
                count = self._to_file(target.path)
            else:
                with target.open() as stream:
                    count = self._to_stream(stream)
        complain(f"Exported {count:,} records to {target.name}.")
        return 0

    def note_on_the_rest(self) -> str:
        """Returns the note on FILE.part after an interruption; empty if that does not exist."""
        if self._part is None or not self._part.exists():
            return ""
        return f"{GOES_ON} {self._part} has the records so far."

    def _to_stream(self, stream: IO[bytes]) -> int:
        with connected(self._options) as client:
            count = 0
            for record in client.export(user=self._options["user"]):
                stream.write(_line(record))
                count += 1
            stream.flush()
        return count

    def _to_file(self, path: Path) -> int:
        self._part = part = path.with_name(path.name + ".part")
        with connected(self._options) as client:
            kept = Checkpoint(
                path.with_name(path.name + ".export"),
                {"address": client.url, "--user": self._options["user"]},
                {},
            )
            after, count = _begin(part, kept, is_anew=self._options["restart"])
            kept.save({})
            try:
                with (
                    open_private(part, "ab") as file,
                    progress_bar.shown("exporting", sys.stderr) as watch,
                ):
                    records = client.export(user=self._options["user"], after=after)
                    count = _write(records, file, count, watch)
                    put(file, part, path)
            except BaseException:
                if part.exists() and not part.stat().st_size:
                    part.unlink()
                if not part.exists():
                    kept.drop()
                raise
            kept.drop()
        return count


def _begin(part: Path, kept: Checkpoint, *, is_anew: bool) -> tuple[str | None, int]:
    """Returns the GUID after which it resumes, and the number of records already written."""
    if is_anew or not part.exists() or kept.load() is None:
        part.unlink(missing_ok=True)
        return None, 0
    after, count = _cut(part)
    if after:
        complain(
            f"Resuming after {count:,} records, where it was interrupted; they may have changed "
            "since, and --restart starts over."
        )
    return after, count


def _cut(part: Path) -> tuple[str | None, int]:
    """Removes an incomplete last line; returns the last record's GUID and the record count."""
    with open_private(part, "r+b") as file:
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
        raise StartupError(f"{part} is not an export: --restart starts over.") from error


def _write(records: Iterable[Record], file: IO[bytes], count: int, watch: Watch) -> int:
    for record in records:
        file.write(_line(record))
        count += 1
        if count % EVERY == 0:
            watch(share_of(record.guid), count)  # records arrive in GUID order
    return count


def _line(record: Record) -> bytes:
    return record.text.encode() + b"\n"
