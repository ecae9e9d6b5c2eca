"""From answers to records and errors: the way back of `guidkeep.http.problems`."""

from __future__ import annotations

import re
from datetime import date
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qs

from guidkeep import errors
from guidkeep.client.models import Day, Line, Page, Record, Stats
from guidkeep.client.sansio import Answer
from guidkeep.errors import (
    TYPE_PREFIX,
    BodyTooLarge,
    Fault,
    GuidkeepError,
    InvalidRequest,
    MethodNotAllowed,
    NoSuchAddress,
    OutcomeUnknown,
    UnknownAnswer,
)
from guidkeep.jsontext import lenient
from guidkeep.record import is_guid, parse_seconds, shortened
from guidkeep.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED, BROKEN = 400, 500
"""The lowest statuses of errors: the client's, and the server's (RFC 9110 §15)."""
OWN_STATUSES = {
    InvalidRequest.code: 400,
    BodyTooLarge.code: 413,
    OutcomeUnknown.code: 503,
}
"""By the error's code, the service's statuses for what the client says itself: of a line that it
does not send, or that has no response."""

_record_begins = re.compile(
    r'\s*\{\s*"guid"\s*:\s*"[0-9A-F]{32}"\s*,\s*"expire"\s*:\s*"[0-9]{1,12}"\s*[,}]'
).match
_altered_tag = re.compile(r'(?:W/)?"([0-9]+)(?:-{1,2}(?:gzip|br|zstd|deflate))?"').fullmatch
_title = re.compile(rb"<title[^>]*>(.{1,300}?)</title", re.IGNORECASE | re.DOTALL).search


def strong(etag: str) -> str:
    """The version as the service wrote it.

    A proxy that compresses an answer makes its tag weak (nginx: `W/"5"`) or adds the coding to it
    (Apache, Caddy: `"5-gzip"`), and neither ever matches `If-Match`. The service itself writes
    nothing but digits.
    """
    if found := _altered_tag(etag):
        return f'"{found[1]}"'
    return etag.removeprefix("W/") if etag.startswith('W/"') else etag


def problem_type(answer: Answer) -> str | None:
    """Which kind of problem an answer is, as in `not-found`; None: it is no problem document."""
    document = _object(answer.body)
    return _type(document) if document else None


def error_of(answer: Answer) -> GuidkeepError:
    """The exception that the service's registry raised, its faults included."""
    document = _object(answer.body)
    if document is None or answer.status < REFUSED:
        return _strange(answer)
    error = _error(document, answer.headers.get("allow", ""))
    # A GUID in a path is checked before it is sent: the service read something else for one.
    is_misled = error is not None and any(fault.parameter == "guid" for fault in error.faults)
    return _strange(answer) if error is None or is_misled else error


def record_of(answer: Answer) -> Record:
    """The record that an answer with a 200 or 201 carries.

    Raises:
        UnknownAnswer: it carries none.
    """
    document = document_of(answer)
    etag = answer.headers.get("etag")
    return Record(
        _checked(answer, document, answer.body.decode()), None if etag is None else strong(etag)
    )


def streamed_record_of(answer: Answer, line: bytes) -> Record:
    """The record on a line of an export, of which only the beginning and the end are looked at.

    Raises:
        UnknownAnswer: there is none on it.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = ""
    if not _record_begins(text) or not text.rstrip().endswith("}"):
        raise _strange(Answer(answer.status, answer.headers, line))
    return Record(text)


def page_of(answer: Answer) -> Page:
    """The page of a list, each record with the text that it has in it."""
    document = document_of(answer)
    if not isinstance(document.get("guids"), list):
        raise _strange(answer)
    texts = list(_texts(answer.body.decode()))
    for member, text in zip(document["guids"], texts, strict=True):
        _checked(answer, member, text)
    records = [Record(text) for text in texts]
    following = document.get("next")
    if following is None:
        return Page(records, after=None)
    [after, *_] = parse_qs(str(following).partition("?")[2]).get("after") or [""]
    if not is_guid(after):
        raise _strange(answer)
    return Page(records, after=after)


def stats_of(answer: Answer) -> Stats:
    """The figures of `GET /stats`."""
    found = document_of(answer)
    if not (isinstance(found.get("cache"), dict) and isinstance(found.get("requests"), dict)):
        raise _strange(answer)
    try:
        return Stats(
            as_of=int(found["as_of"]),
            live=found["live"],
            forecast=[Day(date.fromisoformat(d["date"]), d["expire"]) for d in found["forecast"]],
            later=found["later"],
            cache=found["cache"],
            reclaimed=found["reclaimed"],
            requests=found["requests"],
            text=answer.body.decode(),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _strange(answer) from error


def line_of(answer: Answer, text: bytes, number: int) -> Line:
    """What a line of the answer to `POST /bulk` says, about the line with that number."""
    document = _object(text)
    if document is None or not isinstance(document.get("status"), int):
        raise _strange(answer)
    problem = document.get("problem")
    error = None
    if problem == {}:
        error = _unexplained(document["status"])
    elif isinstance(problem, dict):
        error = _error(problem, "") or _strange(answer)
    return Line(number, document["status"], document.get("guid"), document.get("etag"), error)


def _unexplained(status: int) -> GuidkeepError:
    """The error of a line whose reason is not told any more."""
    told = "The service refused the line; it says no reason after many others that it refused."
    return BodyTooLarge(told) if status == OWN_STATUSES[BodyTooLarge.code] else InvalidRequest(told)


def own_status(error: GuidkeepError) -> int:
    """The status of a line to which the client says itself what is wrong with it."""
    return OWN_STATUSES.get(error.code, BROKEN)


def document_of(answer: Answer) -> dict[str, Any]:
    """The JSON object that an answer carries.

    Raises:
        UnknownAnswer: it carries none.
    """
    document = _object(answer.body)
    if document is None:
        raise _strange(answer)
    return document


def strange(answer: Answer) -> NoReturn:
    """Raises UnknownAnswer."""
    raise _strange(answer)


def _error(document: dict[str, Any], allow: str) -> GuidkeepError | None:
    """The error that a problem document tells of; None: it is of no type that is known."""
    kind = errors.by_code().get(_type(document) or "")
    if kind is None or kind is NoSuchAddress:
        return None
    detail = str(document.get("detail", document.get("title", kind.code)))
    error: GuidkeepError
    if issubclass(kind, InvalidRequest):
        listed = document.get("errors", [])
        error = kind([_fault(one) for one in listed] or detail)
    elif issubclass(kind, MethodNotAllowed):
        error = kind("The method", [word.strip() for word in allow.split(",")])
    else:
        error = kind(detail)
    error.request_id = document.get("request_id")
    return error


def _fault(listed: dict[str, str]) -> Fault:
    return Fault(listed.get("detail", ""), listed.get("pointer"), listed.get("parameter"))


def _type(document: dict[str, Any]) -> str | None:
    urn = str(document.get("type"))
    return urn.removeprefix(TYPE_PREFIX) if urn.startswith(TYPE_PREFIX) else None


def _strange(answer: Answer) -> UnknownAnswer:
    document = _object(answer.body)
    if document and _type(document) in (NoSuchAddress.code, InvalidRequest.code):
        told = "Guidkeep is there, but knows no such address: has the URL a path too much?"
    elif 300 <= answer.status < 400 and (place := answer.headers.get("location")):  # noqa: PLR2004 - RFC 9110 §15.4
        told = (
            f"{answer.status} leads to {_shown_place(place)!r}, and is not followed: "
            "if Guidkeep is there, give its URL."
        )
    elif answer.status >= 500 and _type(document or {}) is None:  # noqa: PLR2004 - as above, §15.6
        told = f"{_shown(answer)} is not Guidkeep's: something in front of it failed."
    else:
        told = f"{_shown(answer)} is no answer of Guidkeep's: is the address right?"
    return UnknownAnswer(told, answer.status)


def _shown_place(place: str) -> str:
    """Where a redirect leads, without what may be a secret."""
    place = re.split("[?#]", place, maxsplit=1)[0]
    return shortened(redacted(place) if "//" in place else place, 200)


def _shown(answer: Answer) -> str:
    """An answer in a few words."""
    text = " ".join(answer.body.decode(errors="replace").split())
    if not text:
        return f"{answer.status}, with nothing in it,"
    if title := _title(answer.body):
        text = " ".join(title[1].decode(errors="replace").split())
        return f"{answer.status}, with the page {shortened(text, 80)!r},"
    return f"{answer.status}, with {shortened(text, 80)!r},"


def _checked(answer: Answer, member: Any, text: str) -> str:
    """The text of a record.

    Raises:
        UnknownAnswer: it is none.
    """
    is_one = isinstance(member, dict) and is_guid(str(member.get("guid")))
    if not is_one or parse_seconds(member.get("expire")) is None:
        raise _strange(answer)
    return text


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        document = lenient.decode(body.decode())
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _texts(page: str) -> Iterator[str]:
    """Cuts the records out of a page's text, which is known to be valid."""
    at = page.index("[") + 1
    while True:
        try:
            _, end = lenient.raw_decode(page, at)
        except JSONDecodeError:  # the array's end
            return
        yield page[at:end]
        at = end + 1  # past the comma; the service writes no space there
