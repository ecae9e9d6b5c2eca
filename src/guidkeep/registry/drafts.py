"""Drafts: records as requests want them, merged and checked, but not yet written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep.errors import BodyTooLarge, Fault, InvalidRequest
from guidkeep.jsontext import format_object, merge, parse_object
from guidkeep.misspelt import meant_by
from guidkeep.record import DEFAULT_LIFETIME, DEFAULT_MAX_RECORD, LAST_EXPIRE, Record
from guidkeep.schema import pointer

if TYPE_CHECKING:
    from guidkeep.jsontext import Member
    from guidkeep.record import Change
    from guidkeep.schema import MetadataSchema


class Drafts:
    """Makes drafts. A draft has no version yet, and no GUID if one is to be generated.

    Args:
        schema: validates the metadata.
        lifetime: seconds until a record expires if the request does not set `expire`.
        max_record: maximum size of a record's metadata, in bytes.
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
        """Returns a new record, or one that replaces `former` as a whole.

        Raises:
            InvalidRequest: with every fault.
            BodyTooLarge: the metadata would be larger than `max_record`.
        """
        faults = self.faults(change, former, merges=False)
        return self._draft(change, faults, change.expire_at(now), dict(change.metadata), now)

    def merged(self, current: Record, change: Change, now: float) -> Record:
        """Returns the current record with the change merged in; raises the errors of `made`."""
        faults = self.faults(change, current, merges=True)
        expire = change.expire_at(now) if change.sets_expire else current.expire
        former = _stored(current)
        if change.names_ttl:
            former.pop("ttl", None)  # stored by a version that took it for metadata
        return self._draft(change, faults, expire, merge(former, dict(change.metadata)), now)

    def faults(self, change: Change, former: Record | None, *, merges: bool) -> list[Fault]:
        """Returns the faults of the change itself, which do not depend on the schema.

        A likely misspelling is refused, unless the schema declares the member, the record has it
        already with the same value, or a merge removes it.

        Args:
            change: the change that the request asks for.
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
    """Returns the members of a stored record.

    Raises:
        ValueError: the stored text is damaged. This is no fault of the request.
    """
    try:
        return parse_object(record.metadata)
    except InvalidRequest:
        raise ValueError(f"The stored metadata of {record.guid} is damaged.") from None
