"""Drafts: what a request would make of a record, checked and merged, not yet written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.errors import BodyTooLarge, InvalidRequest
from guidkeep.jsontext import format_object, merge, parse_object
from guidkeep.record import LAST_EXPIRE, Record

if TYPE_CHECKING:
    from guidkeep.jsontext import Member
    from guidkeep.record import Change
    from guidkeep.schema import MetadataSchema

DEFAULT_LIFETIME = 30 * 86_400
"""Seconds: 30 days."""

DEFAULT_MAX_RECORD = 65_536


class Drafts:
    """Makes them. A draft has no version yet, nor a GUID if one is to be generated.

    Args:
        schema: what metadata must be like.
        lifetime: seconds that a record lives when the request says nothing of `expire`.
        max_record: bytes of a record's metadata at most.
    """

    def __init__(
        self,
        schema: MetadataSchema,
        *,
        lifetime: float = DEFAULT_LIFETIME,
        max_record: int = DEFAULT_MAX_RECORD,
    ) -> None:
        self._schema = schema
        self._lifetime = lifetime
        self._max_record = max_record

    def made(self, change: Change, now: float) -> Record:
        """A new record, or one replaced as a whole.

        Raises:
            InvalidRequest: with all that is wrong.
            BodyTooLarge: its metadata would be.
        """
        return self._draft(change, change.expire, dict(change.metadata), now)

    def merged(self, current: Record, change: Change, now: float) -> Record:
        """The current record with the change merged in; raises as `made` does."""
        expire = change.expire if change.sets_expire else current.expire
        metadata = merge(parse_object(current.metadata), dict(change.metadata))
        return self._draft(change, expire, metadata, now)

    def _draft(
        self, change: Change, expire: int | None, metadata: dict[str, Member], now: float
    ) -> Record:
        faults = [*change.faults, *self._schema.faults(metadata)]
        if faults:
            raise InvalidRequest(faults)
        if expire is None:
            expire = min(int(now + self._lifetime), LAST_EXPIRE)
        text = format_object(metadata)
        if len(text.encode()) > self._max_record:
            raise BodyTooLarge(
                f"A record's metadata must not have more than {self._max_record} bytes."
            )
        return Record(change.guid or "", expire, 0, text)
