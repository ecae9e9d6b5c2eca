"""Records that an import could not write: the file that has them, each with the reason."""

from __future__ import annotations

import json
import os
from typing import IO, TYPE_CHECKING, Any

from guidkeep.commands.output import complain
from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path

    from guidkeep.commands.sources import Item
    from guidkeep.errors import GuidkeepError


class Refusals:
    """Where refused records go, each with the reason: a file, or standard error.

    Args:
        path: the file; None: there is none.
        is_named: whether the user chose it: then it is not overwritten.
    """

    def __init__(self, path: Path | None, *, is_named: bool) -> None:
        self._path = path
        self._is_named = is_named
        self._file: IO[bytes] | None = None
        self._bytes = 0

    def begin(self, *, is_ours: bool = False) -> None:
        """Drops what is there.

        Args:
            is_ours: whether an import before, of the same task, may have written it.

        Raises:
            StartupError: it is a file that somebody named, and no import's.
        """
        if self._path is None or not self._path.exists():
            return
        if self._is_named and not is_ours:
            raise StartupError(
                f"--refused: {self._path} is there already; name another file, or delete it."
            )
        self._path.unlink()

    def go_on(self, kept: int) -> None:
        """Keeps the first bytes of the file, so many, and drops the rest.

        Raises:
            StartupError: it has fewer.
        """
        self._bytes = kept
        size = self._path.stat().st_size if self._path and self._path.exists() else 0
        if size < kept:
            raise StartupError(
                f"{self._path} is shorter than it was when the import was interrupted: "
                "--restart begins anew."
            )
        if self._path and size:
            os.truncate(self._path, kept)

    def add(self, item: Item, error: GuidkeepError) -> int:
        """Notes a refusal; returns the length of the file."""
        if self._path is None:
            complain(f"line {item.number}: {error.detail}")
            return 0
        told: dict[str, Any] = {"line": item.number, "status": error.status}
        told["detail"] = error.detail
        if error.faults:
            told["errors"] = [fault.as_json() for fault in error.faults]
        told["record"] = item.text
        self._file = self._file or self._path.open("ab")
        self._bytes += self._file.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
        return self._bytes

    def flush(self) -> None:
        """What was noted is in the file."""
        if self._file:
            self._file.flush()

    def close(self) -> str | None:
        """The file's name, if there is something in it."""
        if self._file:
            self._file.close()
        return str(self._path) if self._path and self._bytes else None
