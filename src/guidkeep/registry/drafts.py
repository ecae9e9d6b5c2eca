"""Drafts: what a request would make of a record, checked and merged, not yet written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.errors import BodyTooLarge, Fault, InvalidRequest
from guidkeep.jsontext import format_object, merge, parse_object
from guidkeep.misspelt import meant_by
from guidkeep.record import LAST_EXPIRE, Record
from guidkeep.schema import pointer

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

    def made(self, change: Change, now: float, former: Record | None = None) -> Record:
        """A new record, or one that replaces `former` as a whole.

        Raises:
            InvalidRequest: with all that is wrong.
            BodyTooLarge: its metadata would be.
        """
        faults = self.faults(change, former, merges=False)
        return self._draft(change, faults, change.expire_at(now), dict(change.metadata), now)

    def merged(self, current: Record, change: Change, now: float) -> Record:
        """The current record with the change merged in; raises as `made` does."""
        faults = self.faults(change, current, merges=True)
        expire = change.expire_at(now) if change.sets_expire else current.expire
        former = _stored(current)
        if change.names_ttl:
            former.pop("ttl", None)  # of a time when it was metadata
        return self._draft(change, faults, expire, merge(former, dict(change.metadata)), now)

    def faults(self, change: Change, former: Record | None, *, merges: bool) -> list[Fault]:
        """What is wrong with the change itself, whatever the schema says of the record.

        Members that are likely misspellings are refused, unless the schema declares them, the
        record has them already, just so, or a merge removes them.

        Args:
            change: what is wanted.
            former: the record that is changed or replaced.
            merges: whether a null removes a member.
        """
        faults = list(change.faults)
        if change.misspelt:
            before = _stored(former) if former else {}
            for name in change.misspelt:
                new, old = change.metadata[name], before.get(name)
                is_meant = name in self._schema.declared or (old and old.text == new.text)
                if not is_meant and not (merges and new.value is None):
                    faults.append(Fault(meant_by(name), pointer=pointer([name])))
        return faults

    def _draft(
        self,
        change: Change,
        faults: list[Fault],
        expire: int | None,
        metadata: dict[str, Member],
        now: float,
    ) -> Record:
        faults += self._schema.faults(metadata)
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


def _stored(record: Record) -> dict[str, Member]:
    """The members of a record as it is stored.

    Raises:
        ValueError: it is damaged, which is no fault of the request's.
    """
    try:
        return parse_object(record.metadata)
    except InvalidRequest:
        raise ValueError(f"The stored metadata of {record.guid} is damaged.") from None
