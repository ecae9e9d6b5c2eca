"""Turns responses into records and errors: the reverse of `guidkeep.http.problems`."""

from __future__ import annotations

import re
from datetime import date
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qs

from guidkeep import errors
from guidkeep.client.models import Day, Line, Page, Record, Stats
from guidkeep.client.sansio import Response
from guidkeep.errors import (
    BodyTooLarge,
    Fault,
    GuidkeepError,
    InvalidRequest,
    MethodNotAllowed,
    NoSuchAddress,
    UnknownAnswer,
)
from guidkeep.jsontext import lenient
from guidkeep.record import is_guid, parse_seconds, shortened
from guidkeep.urls import redacted
from guidkeep.wire.problems import PROBLEMS, TYPE_PREFIX, problem_of

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED, BROKEN = 400, 500
"""The lowest statuses of errors: the client's, and the server's (RFC 9110 §15)."""

_record_begins = re.compile(
    r'\s*\{\s*"guid"\s*:\s*"[0-9A-F]{32}"\s*,\s*"expire"\s*:\s*"[0-9]{1,12}"\s*[,}]'
).match
_altered_tag = re.compile(r'(?:W/)?"([0-9]+)(?:-{1,2}(?:gzip|br|zstd|deflate))?"').fullmatch
_title = re.compile(rb"<title[^>]*>(.{1,300}?)</title", re.IGNORECASE | re.DOTALL).search


def strong(etag: str) -> str:
    """Returns the version in the service's form.

    A proxy that compresses a response makes its tag weak (nginx: `W/"5"`) or adds the coding to it
    (Apache, Caddy: `"5-gzip"`), and neither ever matches `If-Match`. The service itself writes
    only digits.
    """
    if found := _altered_tag(etag):
        return f'"{found[1]}"'
    return etag.removeprefix("W/") if etag.startswith('W/"') else etag


def problem_type(response: Response) -> str | None:
    """Returns the kind of a problem, such as `not-found`; None: the response is not a problem."""
    document = _object(response.body)
    return _type(document) if document else None


def error_of(response: Response) -> GuidkeepError:
    """Returns the exception that the service's registry raised, with its faults."""
    document = _object(response.body)
    if document is None or response.status < REFUSED:
        return _strange(response)
    error = _error(document, response.headers.get("allow", ""))
    # A GUID in a path is checked before it is sent, so the service took another part for one.
    is_misled = error is not None and any(fault.parameter == "guid" for fault in error.faults)
    return _strange(response) if error is None or is_misled else error


def record_of(response: Response) -> Record:
    """Returns the record of a response with a 200 or 201.

    Raises:
        UnknownAnswer: it has none.
    """
    document = document_of(response)
    etag = response.headers.get("etag")
    return Record(
        _checked(response, document, response.body.decode()), None if etag is None else strong(etag)
    )


def streamed_record_of(response: Response, line: bytes) -> Record:
    """Returns the record on a line of an export; parses only the beginning and the end.

    Raises:
        UnknownAnswer: the line has no record.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = ""
    if not _record_begins(text) or not text.rstrip().endswith("}"):
        raise _strange(Response(response.status, response.headers, line))
    return Record(text)


def page_of(response: Response) -> Page:
    """Returns the page of a list, each record with its text."""
    document = document_of(response)
    if not isinstance(document.get("guids"), list):
        raise _strange(response)
    texts = list(_texts(response.body.decode()))
    for member, text in zip(document["guids"], texts, strict=True):
        _checked(response, member, text)
    records = [Record(text) for text in texts]
    following = document.get("next")
    if following is None:
        return Page(records, after=None)
    [after, *_] = parse_qs(str(following).partition("?")[2]).get("after") or [""]
    if not is_guid(after):
        raise _strange(response)
    return Page(records, after=after)


def stats_of(response: Response) -> Stats:
    """Returns the statistics of `GET /stats`."""
    found = document_of(response)
    if not (isinstance(found.get("cache"), dict) and isinstance(found.get("requests"), dict)):
        raise _strange(response)
    try:
        return Stats(
            as_of=int(found["as_of"]),
            live=found["live"],
            forecast=[Day(date.fromisoformat(d["date"]), d["expire"]) for d in found["forecast"]],
            later=found["later"],
            cache=found["cache"],
            reclaimed=found["reclaimed"],
            requests=found["requests"],
            text=response.body.decode(),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _strange(response) from error


def line_of(response: Response, text: bytes, number: int) -> Line:
    """Returns the result in a line of the response to `POST /bulk`, for a line's number."""
    document = _object(text)
    if document is None or not isinstance(document.get("status"), int):
        raise _strange(response)
    problem = document.get("problem")
    error = None
    if problem == {}:
        error = _unexplained(document["status"])
    elif isinstance(problem, dict):
        error = _error(problem, "") or _strange(response)
    return Line(number, document["status"], document.get("guid"), document.get("etag"), error)


def _unexplained(status: int) -> GuidkeepError:
    """Returns the error of a line that was refused in short, without a reason."""
    told = "The service refused the line without a reason, because it had refused many others."
    return BodyTooLarge(told) if status == problem_of(BodyTooLarge).status else InvalidRequest(told)


def own_status(error: GuidkeepError) -> int:
    """Returns the status of a line that the client did not send, or that got no response.

    It is the service's for the same error, or 500 for an error that the service does not have.
    """
    return PROBLEMS.get(error.code, problem_of(GuidkeepError)).status


def document_of(response: Response) -> dict[str, Any]:
    """Returns the JSON object of a response.

    Raises:
        UnknownAnswer: it has none.
    """
    document = _object(response.body)
    if document is None:
        raise _strange(response)
    return document


def strange(response: Response) -> NoReturn:
    """Raises UnknownAnswer."""
    raise _strange(response)


def _error(document: dict[str, Any], allow: str) -> GuidkeepError | None:
    """Returns the error of a problem document; None: its type is unknown."""
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


def _strange(response: Response) -> UnknownAnswer:
    document = _object(response.body)
    if document and _type(document) in (NoSuchAddress.code, InvalidRequest.code):
        told = "Guidkeep responds, but has no route for the path: is there a wrong path in the URL?"
    elif 300 <= response.status < 400 and (place := response.headers.get("location")):  # noqa: PLR2004 - RFC 9110 §15.4
        told = (
            f"{response.status} leads to {_shown_place(place)!r}, and is not followed: "
            "if Guidkeep is there, give its URL."
        )
    elif response.status >= 500 and _type(document or {}) is None:  # noqa: PLR2004 - as above, §15.6
        told = f"{_shown(response)} is not Guidkeep's: something in front of it failed."
    else:
        told = f"{_shown(response)} is not a response of Guidkeep's: is the address right?"
    return UnknownAnswer(told, response.status)


def _shown_place(place: str) -> str:
    """Returns the target of a redirect, without parts that may be secret."""
    place = re.split("[?#]", place, maxsplit=1)[0]
    return shortened(redacted(place) if "//" in place else place, 200)


def _shown(response: Response) -> str:
    """Describes a response in a few words."""
    text = " ".join(response.body.decode(errors="replace").split())
    if not text:
        return f"{response.status}, with no content,"
    if title := _title(response.body):
        text = " ".join(title[1].decode(errors="replace").split())
        return f"{response.status}, with the page {shortened(text, 80)!r},"
    return f"{response.status}, with {shortened(text, 80)!r},"


def _checked(response: Response, member: Any, text: str) -> str:
    """Returns the text of a record.

    Raises:
        UnknownAnswer: it is not a record.
    """
    is_one = isinstance(member, dict) and is_guid(str(member.get("guid")))
    if not is_one or parse_seconds(member.get("expire")) is None:
        raise _strange(response)
    return text


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        document = lenient.decode(body.decode())
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _texts(page: str) -> Iterator[str]:
    """Splits the text of a page, which is known to be valid, into its records."""
    at = page.index("[") + 1
    while True:
        try:
            _, end = lenient.raw_decode(page, at)
        except JSONDecodeError:  # the array's end
            return
        yield page[at:end]
        at = end + 1  # after the comma; the service writes no space there
