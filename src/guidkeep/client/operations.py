"""The registry's operations over HTTP: makes requests and interprets responses, without I/O."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from guidkeep.client.arguments import (
    Expire,
    IfMatch,
    Metadata,
    Ttl,
    aged,
    body_of,
    checked,
    checked_etag,
    conditions_of,
    members_of,
)
from guidkeep.client.batches import is_removing
from guidkeep.client.bulk import failed, is_safe, joined, lines_of, to_repeat
from guidkeep.client.models import Line, Record, Written
from guidkeep.client.responses import (
    document_of,
    error_of,
    own_status,
    page_of,
    problem_type,
    record_of,
    stats_of,
    strange,
    streamed_record_of,
)
from guidkeep.client.retry import Attempts, exchange, failure
from guidkeep.client.sansio import Give, Lost, More, Request
from guidkeep.client.splitter import Splitter
from guidkeep.errors import (
    Fault,
    GuidkeepError,
    InvalidRequest,
    NotFound,
)
from guidkeep.record import new_guid
from guidkeep.wire.media_types import JSON, NDJSON

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from guidkeep.client.batches import Sent
    from guidkeep.client.models import Page, Stats
    from guidkeep.client.retry import Outcome, Patience
    from guidkeep.client.sansio import Response, Steps, Stream
    from guidkeep.jsontext import Member

    Body = Callable[[int], bytes]
    """Makes a request's body, given the seconds since the first attempt that may have been done."""

OK, CREATED, NO_CONTENT = 200, 201, 204
NOT_MODIFIED, PRECONDITION_FAILED = 304, 412


class Operations:
    """Makes operations; see `guidkeep.client.Client` for each.

    Args:
        patience: the limits on attempts and time of each operation.
    """

    def __init__(self, patience: Patience) -> None:
        self.patience = patience

    def create(
        self, metadata: Metadata, guid: str | None, expire: Expire, ttl: Ttl = None
    ) -> Steps[Record]:
        """Creates a record whose GUID has no live record."""
        members = members_of(metadata, expire, ttl)
        written = yield from self._post(members, guid, {"if-none-match": "*"})
        return written.record

    def create_or_update(
        self,
        metadata: Metadata,
        guid: str | None,
        expire: Expire,
        if_match: IfMatch,
        ttl: Ttl = None,
    ) -> Steps[Written]:
        """Creates a record if there is none, else updates it."""
        members = members_of(metadata, expire, ttl)
        return (yield from self._post(members, guid, conditions_of(if_match)))

    def replace(
        self, guid: str, metadata: Metadata, expire: Expire, if_match: IfMatch, ttl: Ttl = None
    ) -> Steps[Written]:
        """Creates or replaces a record as a whole."""
        body = _body(members_of(metadata, expire, ttl))
        outcome = yield from self._write("PUT", guid, body, conditions_of(if_match))
        return _written(outcome)

    def update(
        self, guid: str, metadata: Metadata, expire: Expire, if_match: IfMatch, ttl: Ttl = None
    ) -> Steps[Record]:
        """Updates a live record."""
        body = _body(members_of(metadata, expire, ttl))
        outcome = yield from self._write("PATCH", guid, body, conditions_of(if_match))
        return record_of(_require(outcome.response, OK))

    def read(self, guid: str) -> Steps[Record]:
        """The live record."""
        return record_of((yield from self._get(f"/guid/{checked(guid)}")))

    def get(self, guid: str) -> Steps[Record | None]:
        """The live record, or None."""
        try:
            return (yield from self.read(guid))
        except NotFound:
            return None

    def read_if_changed(self, guid: str, etag: str) -> Steps[Record | None]:
        """Returns the live record, or None if it still has the version."""
        outcome = yield from self._exchange(
            "GET", f"/guid/{checked(guid)}", {"if-none-match": checked_etag(etag)}
        )
        if outcome.response.status == NOT_MODIFIED:
            return None
        return record_of(_require(outcome.response, OK))

    def delete(self, guid: str, if_match: IfMatch) -> Steps[None]:
        """Deletes a record. A record that a lost attempt may have deleted counts as deleted."""
        outcome = yield from self._write("DELETE", guid, None, conditions_of(if_match))
        was_there = problem_type(outcome.response) != NotFound.code
        if not outcome.is_repeated or was_there:
            _require(outcome.response, NO_CONTENT)

    def list(
        self, limit: int, after: str | None, user: str | None, expires_before: int | None
    ) -> Steps[Page]:
        """Returns a page of the list."""
        query = {
            "limit": limit,
            "after": None if after is None else checked(after),
            "user": _filter(user),
            "expires_before": expires_before,
        }
        return page_of((yield from self._get(_address("/guid", query))))

    def check(self) -> Steps[Literal["ok", "degraded"]]:
        """Returns the service's state."""
        response = yield from self._get("/readyz")
        status = document_of(response).get("status")
        if status == "ok":
            return "ok"
        if status == "degraded":
            return "degraded"
        return strange(response)

    def stats(self) -> Steps[Stats]:
        """Returns the service's statistics."""
        return stats_of((yield from self._get("/stats")))

    def metadata_schema(self) -> Steps[Any]:
        """Returns the JSON Schema for metadata."""
        response = yield from self._get("/openapi.json")
        try:
            return document_of(response)["components"]["schemas"]["Metadata"]
        except (KeyError, TypeError):
            return strange(response)

    def max_body(self) -> Steps[int]:
        """Returns the largest size of a body, and of the metadata of a record."""
        response = yield from self._get("/openapi.json")
        most = document_of(response).get("x-max-body")
        return most if isinstance(most, int) else strange(response)

    def bulk(self, batch: Sequence[Sent], *, create_only: bool) -> Steps[Sequence[Line]]:
        """Writes a batch and returns the result of each line; repeats lines that may succeed later.

        Lines with a generated GUID are sent separately, and only create: so they can be repeated
        whatever their outcome. They share no GUID with other lines, so the order does not matter.
        """
        attempts, found = Attempts(self.patience), dict[int, Line]()
        drawn = [line for line in batch if line.is_drawn]
        others = [line for line in batch if not line.is_drawn]
        yield from self._part(drawn, found, attempts, create_only=True)
        attempts.forget()  # the responses to the other lines say nothing about these
        yield from self._part(others, found, attempts, create_only=create_only)
        return [found[line.number] for line in batch]

    def _part(
        self,
        part: Sequence[Sent],
        found: dict[int, Line],
        attempts: Attempts,
        *,
        create_only: bool,
    ) -> Steps[None]:
        """Adds to `found` the results of lines that are sent in one request."""
        headers = {"content-type": NDJSON} | ({"if-none-match": "*"} if create_only else {})
        waiting = part
        while waiting:
            is_safe_again = all(is_safe(line, create_only=create_only) for line in waiting)
            answered = OK
            try:
                outcome = yield from self._exchange(
                    "POST",
                    "/bulk",
                    headers,
                    partial(joined, waiting),
                    is_repeatable=is_safe_again,
                    attempts=attempts,
                )
                answered = outcome.response.status
                lines = lines_of(_require(outcome.response, OK), waiting)
            except GuidkeepError as error:
                if not found:
                    raise
                # The results of other lines are kept.
                status = own_status(error) if answered == OK else answered
                lines = [failed(line, found.get(line.number), error, status) for line in waiting]
                found.update((line.number, line) for line in lines)
                return
            found.update((line.number, line) for line in lines)
            waiting = to_repeat(waiting, found, create_only=create_only)
            pause = attempts.next_pause(1.0) if waiting else None
            if pause is None:
                break
            yield pause

    def export(self, user: str | None, after: str | None) -> Stream:
        """Iterates over all records; continues on a new connection if one is lost."""
        last = "" if after is None else checked(after)
        user = _filter(user)
        attempts = Attempts(self.patience)
        while True:
            path = _address("/export", {"user": user, "after": last or None})
            outcome = yield from self._exchange("GET", path, {}, attempts=attempts)
            response = _require(outcome.response, OK)
            if not response.headers.get("content-type", "").startswith(NDJSON):
                strange(response)
            splitter, is_past = Splitter(), not last
            while not isinstance(piece := (yield More()), Lost):
                records = [streamed_record_of(response, line) for line in splitter.feed(piece)]
                if not is_past:
                    records = [record for record in records if record.guid > last]
                if records:
                    yield Give(records)
                    last, is_past, attempts = records[-1].guid, True, Attempts(self.patience)
                if not piece:
                    return
            pause = attempts.pause(piece, is_repeatable=True)
            if pause is None:
                raise failure("GET", piece, attempts)
            yield pause

    def _post(
        self, members: Mapping[str, Member], guid: str | None, conditions: Mapping[str, str]
    ) -> Steps[Written]:
        """Sends a `POST`. Without a GUID, generates one, so that it can be repeated."""
        body = _body(members)
        values = {name: member.value for name, member in members.items()}
        can_be_twice = not conditions and not is_removing(values)
        if guid is None and "guid" in members:
            # To the collection: the service takes the GUID from the body, or reports its error.
            outcome = yield from self._exchange(
                "POST", "/guid", conditions, body, is_repeatable=can_be_twice
            )
            return _written(outcome)
        if guid is not None:
            outcome = yield from self._write(
                "POST", guid, body, conditions, is_repeatable=can_be_twice
            )
            return _written(outcome)
        guid, conditions = new_guid(), {**conditions, "if-none-match": "*"}
        outcome = yield from self._write(
            "POST", guid, body, conditions, is_repeatable="if-match" not in conditions
        )
        if outcome.is_repeated and outcome.response.status == PRECONDITION_FAILED:
            return Written((yield from self.read(guid)), created=True)  # an earlier one did
        return _written(outcome)

    def _write(
        self,
        method: str,
        guid: str,
        body: Body | None,
        conditions: Mapping[str, str],
        *,
        is_repeatable: bool | None = None,
    ) -> Steps[Outcome]:
        path = f"/guid/{checked(guid)}"
        if is_repeatable is None:
            is_repeatable = not conditions
        return self._exchange(method, path, conditions, body, is_repeatable=is_repeatable)

    def _get(self, path: str) -> Steps[Response]:
        outcome = yield from self._exchange("GET", path, {})
        return _require(outcome.response, OK)

    def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Body | None = None,
        *,
        is_repeatable: bool = True,
        attempts: Attempts | None = None,
    ) -> Steps[Outcome]:
        if body is not None:
            headers = {"content-type": JSON, **headers}
        made = attempts or Attempts(self.patience)
        return exchange(
            lambda left: Request(method, path, body and body(made.age), headers, left),
            made,
            is_repeatable=is_repeatable,
        )


def _body(members: Mapping[str, Member]) -> Body:
    return lambda age: body_of(aged(members, age))


def _require(response: Response, *statuses: int) -> Response:
    if response.status not in statuses:
        raise error_of(response)
    return response


def _written(outcome: Outcome) -> Written:
    response = _require(outcome.response, OK, CREATED)
    return Written(record_of(response), created=response.status == CREATED)


def _filter(user: str | None) -> str | None:
    """Returns the filter; an empty one would select the records of all users."""
    if user == "":
        raise InvalidRequest([Fault("user must not be empty; leave it out.", parameter="user")])
    try:
        (user or "").encode()
    except UnicodeEncodeError as error:
        told = f"user must be UTF-8; character {error.start} can't be written in it."
        raise InvalidRequest([Fault(told, parameter="user")]) from error
    return user


def _address(path: str, query: Mapping[str, object]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path
