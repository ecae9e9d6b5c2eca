r"""JSON objects that keep their text.

Metadata is returned exactly as the client sent it: `1.10` stays `1.10`, `"\u00e9"` stays escaped,
and an integer of thirty digits keeps all of them. So a member has both a decoded value, for
checks, and its text, for storage. The standard library's scanner (in C) decodes and finds the ends
of values; this module only records where each member begins and ends.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from math import isfinite
from sys import float_info, get_int_max_str_digits
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

from guidkeep.errors import InvalidRequest
from guidkeep.jsontext.faults import explained, outside_of_strings

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 32
"""The maximum depth of nested arrays and objects; the outermost object is level 1."""

_pair = re.compile(
    r'[ \t\n\r]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\n\r]*:[ \t\n\r]*'
    r'(?:("[^"\\]*(?:\\.[^"\\]*)*"|[^"\[{][^ \t\n\r,}]*)[ \t\n\r]*,?)?',
    re.DOTALL,
).match
"""A member's key up to its value. Unless the value is an array or an object, the value too, and a
comma after it."""
_comma = re.compile(r"[ \t\n\r]*,").match
_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

Cut = TypeVar("Cut")


class Member(NamedTuple):
    """A member of an object: `key` and `text` as written, `value` decoded.

    A number in `value` is precise enough for comparisons (a double or an integer). Only `text`
    has all of its digits.
    """

    key: str
    text: str
    value: Any

    def __repr__(self) -> str:
        """Hides the content, to keep it out of logs."""
        return "Member(...)"


def parse_object(body: bytes | str) -> dict[str, Member]:
    """Parses a JSON object (RFC 8259, strictly); returns its members by decoded name.

    Raises:
        InvalidRequest: not UTF-8, not JSON, not an object, a duplicate member, nested deeper than
            `MAX_DEPTH`, `NaN` or an infinity, half of a surrogate pair.
    """
    text = body if isinstance(body, str) else _decode(body)
    try:
        values = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not JSON: {explained(error)}.") from error
    except RecursionError as error:
        raise InvalidRequest(_TOO_DEEP) from error
    if not isinstance(values, dict):
        raise InvalidRequest(
            f"The body must be a JSON object, {{...}}; it is {_KINDS[type(values)]}."
        )
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_too_deep(text):
        raise InvalidRequest(_TOO_DEEP)
    if "\\u" in text:
        _refuse_lone_surrogates(values)
    return _members(text, values)


def require_json(text: str) -> None:
    """Raises ValueError, with an explanation, unless `text` is JSON of any kind."""
    try:
        lenient.decode(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {explained(error)}.") from error


def format_object(members: dict[str, Member]) -> str:
    """Returns the object's text, with each key and value as written."""
    return "{" + ",".join([f"{member.key}:{member.text}" for member in members.values()]) + "}"


def on_one_line(text: str) -> str:
    """Returns JSON text as one line of NDJSON. Raw line breaks occur only between tokens."""
    return text.replace("\n", " ").replace("\r", " ")


def merge(target: dict[str, Member], patch: dict[str, Member]) -> dict[str, Member]:
    """Returns `target` after the JSON merge patch `patch` (RFC 7396); changes neither.

    Members that the patch does not name keep their place and text, and values from the patch keep
    their text. Only objects that the merge changes are formatted anew. Each text is scanned once,
    however deep the patch goes.
    """
    merged = dict(target)
    for name, new in patch.items():
        if new.value is None:
            merged.pop(name, None)
        elif isinstance(new.value, dict):
            branch, _ = _branch(new.key, name, new.text, 0, new.value)
            merged[name] = _grown(merged.get(name), branch)
        else:
            merged[name] = new
    return merged


class _Branch(NamedTuple):
    """A member of a patch; `members` are those of its value if it is an object."""

    key: str
    text: str
    value: Any
    members: dict[str, _Branch] | None = None


def _branch(key: str, _: str, text: str, at: int, value: Any) -> tuple[_Branch, int]:
    """Returns the member of a patch whose value begins at `at`, and the end of the value."""
    if isinstance(value, dict):
        members, end = _cut(text, at, value, _Branch, _branch)
        return _Branch(key, text[at:end], value, members), end
    end = _end_of_value(text, at)
    return _Branch(key, text[at:end], value), end


def _whole(key: str, _: str, text: str, at: int, value: Any) -> tuple[Member, int]:
    """Returns the member whose value begins at `at`, and the end of the value."""
    end = _end_of_value(text, at)
    return Member(key, text[at:end], value), end


def _grown(old: Member | None, patch: _Branch) -> Member:
    """Returns the member after an object is merged into it."""
    members = patch.members or {}
    if old is not None and isinstance(old.value, dict):
        return _merged(old.key, old.text, 0, old.value, members)[0]
    return _merged(old.key if old else patch.key, "{}", 0, {}, members)[0]


def _merged(
    key: str, text: str, at: int, values: dict[str, Any], patch: dict[str, _Branch]
) -> tuple[Member, int]:
    """Returns the member with the merged object at `at`, and its former end in the text."""

    def nested(key: str, name: str, text: str, at: int, value: Any) -> tuple[Member, int]:
        change = patch.get(name)
        if change and change.members is not None and isinstance(value, dict):
            return _merged(key, text, at, value, change.members)
        return _whole(key, name, text, at, value)

    before, end = _cut(text, at, values, Member, nested)
    members = dict(before)
    for name, change in patch.items():
        if change.value is None:
            members.pop(name, None)
        elif change.members is None:
            members[name] = Member(change.key, change.text, change.value)
        elif not isinstance(values.get(name), dict):
            members[name] = _grown(before.get(name), change)
    if members == before and all(new.value is values[name] for name, new in before.items()):
        return Member(key, text[at:end], values), end  # unchanged: keeps its spaces too
    value = {name: member.value for name, member in members.items()}
    return Member(key, format_object(members), value), end


def _members(text: str, values: dict[str, Any]) -> dict[str, Member]:
    """Cuts the valid text of an object into its members."""
    return _cut(text, text.index("{"), values, Member, _whole)[0]


def _cut(
    text: str,
    at: int,
    values: dict[str, Any],
    plain: Callable[[str, str, Any], Cut],
    nested: Callable[[str, str, str, int, Any], tuple[Cut, int]],
) -> tuple[dict[str, Cut], int]:
    """Returns the members of the object that begins at `at`, and the object's end.

    Args:
        text: valid JSON.
        at: the place of the object's brace.
        values: the decoded object.
        plain: makes a member from key, text and value, for a value that is not nested.
        nested: makes a member from key, name, the whole text, the place of the value, and the
            value; returns the member and the end of the value.
    """
    members: dict[str, Cut] = {}
    at += 1
    for name, value in values.items():  # in the order of the text, each name once
        found: Any = _pair(text, at)
        key, plain_text = found.groups()
        at = found.end()
        if plain_text is not None:
            members[name] = plain(key, plain_text, value)
        else:
            members[name], at = nested(key, name, text, at, value)
            if comma := _comma(text, at):
                at = comma.end()
    return members, text.index("}", at) + 1


def _end_of_value(text: str, at: int) -> int:
    _, end = _scan_once(text, at)
    return int(end)


def _decode(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"The body must be UTF-8 (RFC 8259); byte {error.start} is not."
        ) from error


def _is_too_deep(text: str) -> bool:
    """Whether the arrays and objects of a valid JSON text nest deeper than `MAX_DEPTH`.

    Each pass removes the innermost brackets outside of strings. All work is done by functions in
    C, because a text of 64 KiB can have 64 Ki brackets.
    """
    outside = "".join(outside_of_strings(text)).encode()
    brackets = outside.translate(_AS_BRACKETS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _refuse_lone_surrogates(values: object) -> None:
    """Refuses half of a surrogate pair (RFC 8259 §8.2), which UTF-8 can't encode."""
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise InvalidRequest(
            f"{half} is half of a surrogate pair, not a character: write both halves, or none."
        ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        [(twice, _)] = counts.most_common(1)
        raise InvalidRequest(
            f"The member {json.dumps(twice)} occurs twice in one object: write it once."
        )
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"{name} is not JSON: a number is written in digits (RFC 8259 §6).")


def _float(text: str) -> float:
    """For comparisons only: a number beyond a double's range becomes the largest double."""
    value = float(text)
    return value if isfinite(value) else (-1 if value < 0 else 1) * float_info.max


def _int(text: str) -> int | float:
    return int(text) if len(text) <= _INT_DIGITS else _float(text)


_INT_DIGITS = get_int_max_str_digits() or 4300  # 0: no limit is set
_TOO_DEEP = f"The body is nested too deeply: at most {MAX_DEPTH} levels."
_KINDS = {
    list: "an array",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}
_decoder = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_float,
    parse_int=_int,
    parse_constant=_refuse_constant,
)
lenient = json.JSONDecoder(parse_int=_int)
"""Reads everything that `parse_object` takes, and other JSON. Integers may have any number of
digits; Python's own decoder refuses more than 4,300."""
_scan_once = json.JSONDecoder(parse_int=str, parse_float=str).scan_once  # type: ignore[attr-defined]  # public, untyped
"""Finds the end of a value; numbers are not read."""
