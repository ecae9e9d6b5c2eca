"""`guidkeep create`, `get`, `update`, `delete`, `list`."""

from __future__ import annotations

import sys
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from guidkeep.cli import exits
from guidkeep.cli.members import parse_input, parse_words
from guidkeep.cli.output import complain
from guidkeep.cli.runner import with_client
from guidkeep.cli.times import DEFAULT, parse_expire, parse_ttl
from guidkeep.client.arguments import ANY, KEEP, Expire, IfMatch
from guidkeep.errors import NotFound, PreconditionFailed, StartupError
from guidkeep.jsontext import format_object
from guidkeep.record import MAX_LIMIT

if TYPE_CHECKING:
    from guidkeep.cli.members import Words
    from guidkeep.cli.output import Output
    from guidkeep.client import Client
    from guidkeep.jsontext import Member

    Options = dict[str, Any]


@with_client
def create(client: Client, options: Options, output: Output) -> int:
    """Creates a record."""
    words, members = _wanted(options, may_be_empty=False)
    try:
        record = client.create(
            format_object(members), guid=words.guid, expire=_expire(options), ttl=_ttl(options)
        )
    except PreconditionFailed as error:
        guid = words.guid or members["guid"].value  # a random GUID has no record yet
        raise PreconditionFailed(
            f"{guid} has a live record already; `guidkeep update` changes it."
        ) from error
    output.record(record)
    return 0


@with_client
def get(client: Client, options: Options, output: Output) -> int:
    """Shows a record."""
    record = client.read(options["guid"])
    if options["etag"]:
        output.line(record.etag or "")
    else:
        output.record(record)
    return 0


@with_client
def update(client: Client, options: Options, output: Output) -> int:
    """Changes a record."""
    expire, ttl = _expire(options), _ttl(options)
    words, members = _wanted(options, may_be_empty=expire is not KEEP or ttl is not None)
    if words.guid is None:
        raise StartupError("Which record? Write its GUID before the members.")
    record = client.update(
        words.guid,
        format_object(members),
        expire=expire,
        ttl=ttl,
        if_match=_if_match(options),
    )
    output.record(record)
    return 0


@with_client
def delete(client: Client, options: Options, output: Output) -> int:
    """Deletes records; a missing one does not stop the others."""
    if options["if_match"] and len(options["guids"]) > 1:
        raise StartupError("--if-match is the version of one record: name one GUID.")
    code = 0
    for guid in options["guids"]:
        try:
            client.delete(guid, if_match=_if_match(options))
        except NotFound as error:
            complain(exits.sentence_of(error))
            code = exits.NOT_FOUND
        else:
            output.note(f"Deleted {guid}.")
    return code


@with_client
def list_(client: Client, options: Options, output: Output) -> int:
    """Lists records."""
    limit = None if options["all"] else options["limit"]
    pages = client.pages(
        limit=_part(limit, -1),  # one more record shows whether there are more
        after=options["after"],
        user=options["user"],
        expires_before=_expires_before(options),
    )
    records = (record for page in pages for record in page.records)
    shown = 0
    while page := list(islice(records, _part(limit, shown))):
        output.records(page)
        shown += len(page)
    if shown == limit and (after := next(records, None)):
        output.note(f"There are more records, from {after.guid} on: use --all or a larger --limit.")
    return 0


def _part(limit: int | None, shown: int) -> int:
    """Returns the size of the next part, which a table aligns; it bounds the memory."""
    return MAX_LIMIT if limit is None else min(MAX_LIMIT, limit - shown)


def _wanted(options: Options, *, may_be_empty: bool) -> tuple[Words, dict[str, Member]]:
    """Returns the words, and the members from the words and from standard input."""
    words = parse_words(options["words"])
    members = words.members
    is_silent = not members and not may_be_empty and not sys.stdin.isatty()
    if words.reads_input or is_silent:
        members = parse_input(sys.stdin.buffer.read()) | members
    return words, members


def _if_match(options: Options) -> IfMatch:
    given: str | None = options["if_match"]
    return ANY if given is None else given


def _expire(options: Options) -> Expire:
    text = options["expire"]
    return KEEP if text is None else _time("--expire", text)


def _ttl(options: Options) -> int | None:
    text = options["ttl"]
    try:
        return None if text is None else parse_ttl(text)
    except StartupError as error:
        raise StartupError(f"--ttl: {error}") from error


def _expires_before(options: Options) -> int | None:
    text = options["expires_before"]
    if text == DEFAULT:  # only the service knows the default lifetime
        raise StartupError(f"--expires-before: {text!r} is not a time; write one, as 30d.")
    return None if text is None else _time("--expires-before", text)


def _time(flag: str, text: str) -> int | None:
    try:
        return parse_expire(text, now=time.time())
    except StartupError as error:
        raise StartupError(f"{flag}: {error}") from error
