"""From answers to records and errors: the way back of `guidkeep.http.problems`."""

from __future__ import annotations

from datetime import date
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, NoReturn

from guidkeep import errors
from guidkeep.client.records import Day, Line, Page, Record, Stats
from guidkeep.errors import Fault, GuidkeepError, InvalidRequest, MethodNotAllowed, UnknownAnswer
from guidkeep.http.problems import TYPE_PREFIX
from guidkeep.jsontext import lenient
from guidkeep.record import is_guid, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guidkeep.client.wire import Answer


def problem_type(answer: Answer) -> str | None:
    """Which kind of problem an answer is, as in `not-found`; None: it is no problem document."""
    document = _object(answer.body)
    return _type(document) if document else None


def error_of(answer: Answer) -> GuidkeepError:
    """The exception that the service's registry raised, its faults included."""
    document = _object(answer.body)
    if document is None or answer.status < errors.InvalidRequest.status:
        return _strange(answer)
    error = _error(document, answer.headers.get("allow", ""))
    return _strange(answer) if error is None else error


def record_of(answer: Answer) -> Record:
    """The record that an answer with a 200 or 201 carries.

    Raises:
        UnknownAnswer: it carries none.
    """
    document = document_of(answer)
    if not is_guid(str(document.get("guid"))):
        raise _strange(answer)
    return Record(answer.body.decode(), answer.headers.get("etag"))


def page_of(answer: Answer) -> Page:
    """The page of a list, each record with the text that it has in it."""
    document = document_of(answer)
    if not isinstance(document.get("guids"), list):
        raise _strange(answer)
    return Page(list(_records(answer.body.decode())), more=document.get("next") is not None)


def stats_of(answer: Answer) -> Stats:
    """The figures of `GET /stats`."""
    found = document_of(answer)
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
    if isinstance(problem, dict):
        error = _error(problem, "") or _strange(answer)
    return Line(number, document["status"], document.get("guid"), document.get("etag"), error)


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
    kind = errors.problems().get(_type(document) or "")
    if kind is None:
        return None
    detail = str(document.get("detail", kind.title))
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
    said = shortened(" ".join(answer.body.decode(errors="replace").split()), 80)
    return UnknownAnswer(
        f"{answer.status}, with {said!r}, is no answer of Guidkeep's: is the address right?",
        answer.status,
    )


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        document = lenient.decode(body.decode())
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _records(page: str) -> Iterator[Record]:
    """Cuts the records out of a page's text, which is known to be valid."""
    at = page.index("[") + 1
    while True:
        try:
            _, end = lenient.raw_decode(page, at)
        except JSONDecodeError:  # the array's end
            return
        yield Record(page[at:end])
        at = end + 1  # past the comma; the service writes no space there
