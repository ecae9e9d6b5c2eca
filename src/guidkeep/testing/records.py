"""Records to store."""

from __future__ import annotations

import json
from dataclasses import replace

from guidkeep.record import Record

NOW = 1_425_144_345
GUID = "9094E4C980C74043A4B586B420E69DDF"


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
