"""Members of a record on the command line."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, NamedTuple

from guidkeep.errors import InvalidRequest, StartupError
from guidkeep.jsontext import Member, parse_object
from guidkeep.misspelt import OWN
from guidkeep.record import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

_member = re.compile(r"([^=]+?)(:?=)(.*)", re.DOTALL).fullmatch


class Words(NamedTuple):
    """The words after a command.

    Attributes:
        guid: the first word, if it is not a member.
        members: the other words.
        reads_input: whether `-` is among them: then standard input has members too.
    """

    guid: str | None
    members: dict[str, Member]
    reads_input: bool


def parse_words(words: Sequence[str]) -> Words:
    """Reads `[GUID] [NAME=TEXT | NAME:=JSON | -] ...`.

    Raises:
        StartupError: a word is none of these, or a member is given twice.
    """
    guid = words[0] if words and "=" not in words[0] and words[0] != "-" else None
    rest = words if guid is None else words[1:]
    members: dict[str, Member] = {}
    for word in rest:
        if word != "-":
            name, member = _parse_member(word)
            if name in members:
                raise StartupError(f"{shortened(name)!r} is given twice: give it once.")
            members[name] = member
    return Words(guid, members, "-" in rest)


def parse_input(text: bytes) -> dict[str, Member]:
    """Returns the members of the JSON object on standard input.

    Raises:
        StartupError: the text is not a JSON object.
    """
    try:
        return parse_object(text.removeprefix(codecs.BOM_UTF8))
    except InvalidRequest as error:
        raise StartupError(f"Standard input: {error}") from error


def _parse_member(word: str) -> tuple[str, Member]:
    found = _member(word)
    if not found:
        raise StartupError(
            f"{shortened(word)!r} is not a member: write NAME=TEXT, or NAME:=JSON for other values."
        )
    name, operator, text = found.groups()
    if name in OWN:
        right = "as the first word" if name == "guid" else f"with --{name}"
        raise StartupError(f"{name!r} is not metadata: give it {right}.")
    key = json.dumps(name, ensure_ascii=False)
    if operator == "=":
        return name, Member(key, json.dumps(text, ensure_ascii=False), text)
    try:
        [member] = parse_object(f"{{{key}:{text}}}").values()
    except (InvalidRequest, ValueError) as error:  # ValueError: `5,"x":6` would add a second member
        raise StartupError(
            f"{name}:={shortened(text)} is not JSON: write {name}=TEXT if it is meant as text."
        ) from error
    return name, member
