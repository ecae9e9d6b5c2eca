"""The file with the records that an import could not write, each with the reason."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from guidkeep.cli.output import complain, naming
from guidkeep.errors import InvalidRequest, StartupError
from guidkeep.jsontext import parse_object
from guidkeep.system.files import open_private

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guidkeep.cli.input.items import Item
    from guidkeep.cli.output_files import Target
    from guidkeep.errors import GuidkeepError

_place = re.compile(r"\(line 1, column ([0-9]+)\)\.$")


class Refusals:
    """The refused records of an import, each with the reason, in a file or on standard error.

    Args:
        target: the file; None for standard error.
        is_named: whether the user chose the file, which is then never overwritten.
        columns: the columns of a CSV by member; None if the file is not a CSV.
    """

    def __init__(
        self, target: Target | None, *, is_named: bool, columns: Mapping[str, str] | None
    ) -> None:
        self._target = target
        self._path = target.path if target else None  # None: the output cannot be removed
        self._is_named = is_named
        self._columns = columns
        self._file: IO[bytes] | None = None
        self._bytes = 0

    def begin(self, *, is_ours: bool = False) -> None:
        """Removes a file of an earlier import.

        Args:
            is_ours: whether an earlier import of the same task may have written it.

        Raises:
            StartupError: the user named an existing file that is not an import's.
        """
        if self._path is None:
            return
        if self._is_named and not is_ours and self._path.exists():
            raise StartupError(
                f"--refused: {self._path} already exists; name another file, or delete it."
            )
        with suppress(FileNotFoundError):
            self._path.unlink()

    def go_on(self, kept: int) -> None:
        """Resumes with the first `kept` bytes of the file, and drops the rest.

        Raises:
            StartupError: the file has fewer bytes.
        """
        self._bytes = kept
        if self._path is None:
            return
        size = self._path.stat().st_size if self._path.exists() else 0
        if size < kept:
            raise StartupError(
                f"{self._path} is shorter than it was when the import was interrupted: "
                "--restart starts over."
            )
        if size:
            with open_private(self._path, "r+b") as file:
                os.truncate(file.fileno(), kept)

    def add(self, item: Item, error: GuidkeepError, status: int) -> int:
        """Writes a refused record with its HTTP status; returns the length of the file."""
        reasons = _reasons(item, error, self._columns)
        if self._target is None:
            reason = " ".join(reasons)
            complain(f"line {item.line}{', ' if reason.startswith('column ') else ': '}{reason}")
            return 0
        entry: dict[str, Any] = {"line": item.line, "status": status}
        entry["detail"] = " ".join(reasons)
        if error.faults:
            entry["errors"] = [
                {"column": name} | fault.as_json() if name else fault.as_json()
                for fault in error.faults
                for name in [_column(fault.pointer, self._columns)]
            ]
        entry["record"] = item.text
        with naming(self._target.name):
            self._file = self._file or self._opened(self._target)
            self._bytes += self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        return self._bytes

    def flush(self) -> None:
        """Flushes the file."""
        if self._file and self._target:
            with naming(self._target.name):
                self._file.flush()

    def close(self) -> str | None:
        """Closes the file; returns its name if it is not empty."""
        if self._target is None:
            return None
        if self._file:
            with naming(self._target.name):
                self._file.close()
        return self._target.name if self._bytes else None

    def _opened(self, target: Target) -> IO[bytes]:
        return target.open() if self._path is None else open_private(self._path, "ab")


def _reasons(item: Item, error: GuidkeepError, columns: Mapping[str, str] | None) -> list[str]:
    """Returns the reasons for a refusal, in terms of the file.

    The service's messages are about the request: a batch, in which a row of a CSV is an object, and
    a record without a GUID has one.
    """
    if error.faults:
        named = [(_column(fault.pointer, columns), fault.detail) for fault in error.faults]
        return [f"column {name}: {detail}" if name else detail for name, detail in named]
    detail = error.detail
    if isinstance(error, InvalidRequest) and columns is None and item.fault is None:
        try:
            parse_object(item.text)
        except InvalidRequest as own:  # this error has the column in the file
            detail = _place.sub(r"(column \1).", own.detail)
    return [re.sub(r"\bbody\b", "record", detail)]


def _column(pointer: str | None, columns: Mapping[str, str] | None) -> str | None:
    """Returns the column that a JSON Pointer (RFC 6901) leads to; None if there is none."""
    if not pointer or columns is None:
        return None
    member = pointer.split("/")[1].replace("~1", "/").replace("~0", "~")
    return columns.get(member)
