"""What people write on the command line: members of a record, and when it shall expire."""

from __future__ import annotations

import codecs
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from guidkeep.errors import InvalidRequest, StartupError
from guidkeep.jsontext import Member, parse_object
from guidkeep.record import parse_seconds, shortened
from guidkeep.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT = "default"
"""The word by which `--expire` asks for the service's default lifetime."""

_member = re.compile(r"([^=]+?)(:?=)(.*)", re.DOTALL).fullmatch
_duration = re.compile(r"[0-9.]+ *(ms|s|m|h|d)", re.IGNORECASE).fullmatch


class Words(NamedTuple):
    """The words after a command.

    Attributes:
        guid: the first of them, if it is no member.
        members: the others.
        reads_input: whether `-` is among them: standard input has members too.
    """

    guid: str | None
    members: dict[str, Member]
    reads_input: bool


def parse_words(words: Sequence[str]) -> Words:
    """Reads `[GUID] [NAME=TEXT | NAME:=JSON | -] ...`.

    Raises:
        StartupError: a word is none of these, or a member is there already.
    """
    guid = words[0] if words and "=" not in words[0] and words[0] != "-" else None
    rest = words if guid is None else words[1:]
    members: dict[str, Member] = {}
    for word in rest:
        if word != "-":
            name, member = _parse_member(word)
            if name in members:
                raise StartupError(f"{shortened(name)!r} stands twice: give it once.")
            members[name] = member
    return Words(guid, members, "-" in rest)


def parse_input(text: bytes) -> dict[str, Member]:
    """The members of the JSON object on standard input.

    Raises:
        StartupError: it is none.
    """
    try:
        return parse_object(text.removeprefix(codecs.BOM_UTF8))
    except InvalidRequest as error:
        raise StartupError(f"Standard input: {error}") from error


def parse_expire(text: str, *, now: float) -> int | None:
    """Unix time in seconds of what `--expire` says; None: the default lifetime.

    Args:
        text: Unix time, a date with or without time and zone (UTC if none is given), a time from
            now as `30d`, or `default`.
        now: Unix time in seconds.

    Raises:
        StartupError: it is none of these.
    """
    if text == DEFAULT:
        return None
    seconds = parse_seconds(text)
    if seconds is not None:
        return seconds
    if _duration(text):
        return int(now + parse_duration(text))
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise StartupError(
            f"{shortened(text)!r} is no time: write Unix time in seconds, a date as 2027-01-01 or "
            "2027-01-01T12:00+02:00 (UTC without a zone), or a time from now as 12h or 30d."
        ) from error
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


def parse_ttl(text: str) -> int:
    """Seconds of what `--ttl` says: a number of them, or a duration as `15m`.

    Raises:
        StartupError: it is neither.
    """
    seconds = parse_seconds(text)
    if seconds is not None:
        return seconds
    if _duration(text):
        return int(parse_duration(text))
    raise StartupError(
        f"{shortened(text)!r} is no duration: write whole seconds as 3600, or 15m, 12h or 30d."
    )


def _parse_member(word: str) -> tuple[str, Member]:
    found = _member(word)
    if not found:
        raise StartupError(
            f"{shortened(word)!r} is no member: write NAME=TEXT, or NAME:=JSON for what is no text."
        )
    name, operator, text = found.groups()
    if name in ("guid", "expire", "ttl"):
        right = "as the first word" if name == "guid" else f"with --{name}"
        raise StartupError(f"{name!r} is no metadata: give it {right}.")
    key = json.dumps(name, ensure_ascii=False)
    if operator == "=":
        return name, Member(key, json.dumps(text, ensure_ascii=False), text)
    try:
        [member] = parse_object(f"{{{key}:{text}}}").values()
    except (InvalidRequest, ValueError) as error:  # ValueError: `5,"x":6` would bring a second one
        raise StartupError(
            f"{name}:={shortened(text)} is no JSON: write {name}=TEXT if it is meant as text."
        ) from error
    return name, member
