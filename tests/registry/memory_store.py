"""A store in a dictionary: the simplest implementation of the `Store` protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.stores import Counted, until

if TYPE_CHECKING:
    from guidkeep.record import Query, Record


class MemoryStore:
    """A store whose calls never wait, so each is one atomic step."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.gets = 0

    async def get(self, guid: str) -> Record | None:
        self.gets += 1
        return self.records.get(guid)

    async def insert(self, record: Record) -> bool:
        if record.guid in self.records:
            return False
        self.records[record.guid] = record
        return True

    async def replace(self, record: Record, version: int) -> bool:
        if not self._is(record.guid, version):
            return False
        self.records[record.guid] = record
        return True

    async def delete(self, guid: str, version: int) -> bool:
        if not self._is(guid, version):
            return False
        del self.records[guid]
        return True

    async def page(self, query: Query, now: int) -> list[Record]:
        found = [
            record
            for guid, record in sorted(self.records.items())
            if record.is_live(now)
            and (query.after is None or guid > query.after)
            and (query.until is None or guid <= query.until)
            and (query.user is None or record.user == query.user)
            and (query.expires_before is None or record.expire < query.expires_before)
        ]
        return found[: query.limit]

    async def skip(self, query: Query, count: int) -> str | None:
        passed = [
            guid
            for guid, record in sorted(self.records.items())
            if guid > (query.after or "") and query.user in (None, record.user)
        ]
        return passed[count - 1] if len(passed) >= count else None

    async def count(self, first: int, before: int, limit: int) -> Counted:
        found = sorted(
            record.expire for record in self.records.values() if first <= record.expire < before
        )
        end = until(found[limit] if len(found) > limit else None, first, before)
        return Counted(sum(expire < end for expire in found), end)

    async def purge(self, now: int, limit: int) -> int:
        expired = [guid for guid, record in self.records.items() if not record.is_live(now)]
        for guid in expired[:limit]:
            del self.records[guid]
        return len(expired[:limit])

    async def clock(self) -> float | None:
        return None

    async def ping(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def _is(self, guid: str, version: int) -> bool:
        stored = self.records.get(guid)
        return stored is not None and stored.version == version
