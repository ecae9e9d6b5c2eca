"""An example of a store: it keeps all records in memory, and appends each write to a file.

Its URL is `journal:///FILE`. It is small and slow: each write waits for the disk by itself.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from guidkeep.errors import OutcomeUnknown, StartupError, StoreUnavailable
from guidkeep.record import Record
from guidkeep.stores import Counted, until
from guidkeep.urls import split

if TYPE_CHECKING:
    from guidkeep.metrics import Metrics
    from guidkeep.record import Query


class JournalStore:
    """See the module's text. A line has a whole record, or the GUID of a deleted one."""

    def __init__(self, path: Path) -> None:
        self._failed = False
        self._records: dict[str, Record] = {}
        self._file = path.open("a+b", buffering=0)
        self._file.seek(0)
        lines = self._file.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):  # a crash cut off an unconfirmed write
            self._file.truncate(sum(map(len, lines[:-1])))
            lines.pop()
        for line in lines:
            self._keep(*json.loads(line))

    @staticmethod
    def path_of(url: str) -> Path:
        """Returns the file that the URL names. Raises StartupError if it is not a URL."""
        return Path(split(url).path.removeprefix("/"))

    @classmethod
    async def open(cls, url: str, *, timeout: float, metrics: Metrics) -> Self:  # noqa: ARG003 - as for every store
        """Opens the store at that URL. Raises StartupError if it can't be used."""
        try:
            return cls(cls.path_of(url))
        except (OSError, ValueError) as error:
            raise StartupError(f"The journal can't be read: {error}.") from error

    async def get(self, guid: str) -> Record | None:
        """Implements `Store`, like the methods below."""
        return self._records.get(guid)

    async def insert(self, record: Record) -> bool:
        """Returns False if there is a record, expired or not."""
        return self._write(record.guid, record, None)

    async def replace(self, record: Record, version: int) -> bool:
        """Returns False if the record has another version, or is gone."""
        return self._write(record.guid, record, version)

    async def delete(self, guid: str, version: int) -> bool:
        """Returns False if the record has another version, or is gone."""
        return self._write(guid, None, version)

    async def page(self, query: Query, now: int) -> list[Record]:
        """Returns live records in GUID order."""
        found = [
            record
            for record in self._after(query)
            if now < record.expire
            and (query.until is None or record.guid <= query.until)
            and (query.expires_before is None or record.expire < query.expires_before)
        ]
        return found[: query.limit]

    async def skip(self, query: Query, count: int) -> str | None:
        """Returns the GUID of the record `count` places later."""
        passed = self._after(query)
        return passed[count - 1].guid if len(passed) >= count else None

    async def count(self, first: int, before: int, limit: int) -> Counted:
        """Counts records by `expire`, about `limit` of them."""
        found = sorted(one.expire for one in self._records.values() if first <= one.expire < before)
        end = until(found[limit] if len(found) > limit else None, first, before)
        return Counted(sum(expire < end for expire in found), end)

    async def purge(self, now: int, limit: int) -> int:
        """Deletes expired records; returns their number."""
        expired = [one for one in self._records.values() if one.expire <= now][:limit]
        return sum([await self.delete(one.guid, one.version) for one in expired])

    async def clock(self) -> float | None:
        """Returns None: the store is on this machine."""
        return None

    async def ping(self) -> None:
        """Raises StoreUnavailable after a failed write: the content of the file is unknown."""
        if self._failed:
            raise StoreUnavailable("The journal can't be written: start Guidkeep again.")

    async def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _after(self, query: Query) -> list[Record]:
        records = sorted(self._records.values(), key=lambda record: record.guid)
        return [
            record
            for record in records
            if (query.after is None or record.guid > query.after)
            and (query.user is None or record.user == query.user)
        ]

    def _keep(self, guid: str, fields: list[object] | None) -> None:
        if fields is None:
            del self._records[guid]
        else:
            self._records[guid] = Record(guid, *fields)  # type: ignore[arg-type] # the fields that `_write` wrote

    def _write(self, guid: str, record: Record | None, version: int | None) -> bool:
        """Compares, then writes. Without an `await`, no other operation runs in between."""
        there = self._records.get(guid)
        if (there.version if there else None) != version:
            return False
        if self._failed:
            raise StoreUnavailable("The journal can't be written: start Guidkeep again.")
        fields = [record.expire, record.version, record.metadata] if record else None
        try:
            self._file.write(json.dumps([guid, fields]).encode() + b"\n")
            os.fsync(self._file.fileno())
        except OSError as error:
            self._failed = True
            raise OutcomeUnknown("The journal can't be written: it may hold the write.") from error
        self._keep(guid, fields)
        return True
