r"""JSON objects whose text is kept.

Metadata is answered exactly as it came: `1.10` stays `1.10`, `"\u00e9"` stays escaped, an
integer of thirty digits keeps all of them. So a member is both: its value, for looking at,
and its text, for keeping. Decoding and the slicing of texts are done by the standard
library's own scanner (in C); this module only notes where a member begins and ends.
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
"""How deep arrays and objects may nest; the body's own object is the first level."""

_pair = re.compile(
    r'[ \t\n\r]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\n\r]*:[ \t\n\r]*'
    r'(?:("[^"\\]*(?:\\.[^"\\]*)*"|[^"\[{][^ \t\n\r,}]*)[ \t\n\r]*,?)?',
    re.DOTALL,
).match
"""The key of a member, up to its value; the value too, and a comma after it, unless it is an array
or an object."""
_comma = re.compile(r"[ \t\n\r]*,").match
_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

Cut = TypeVar("Cut")


class Member(NamedTuple):
    """A member of an object: `key` and `text` as they were written, `value` as decoded.

    A number in `value` is the nearest that a comparison needs (a double, or an integer);
    only `text` has its digits.
    """

    key: str
    text: str
    value: Any

    def __repr__(self) -> str:
        """Without what it holds, so that it gets into no log."""
        return "Member(...)"


def parse_object(body: bytes | str) -> dict[str, Member]:
    """Reads a JSON object (RFC 8259, strictly) and returns its members by decoded name.

    Raises:
        InvalidRequest: not UTF-8, not JSON, no object, a member twice, nested deeper than
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
    """Raises ValueError, which says what would be right, unless `text` is JSON of any kind."""
    try:
        lenient.decode(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {explained(error)}.") from error


def format_object(members: dict[str, Member]) -> str:
    """The object's text, each member's key and value as they were written."""
    return "{" + ",".join([f"{member.key}:{member.text}" for member in members.values()]) + "}"


def on_one_line(text: str) -> str:
    """JSON text as a line of NDJSON: a raw line break only ever stands between tokens."""
    return text.replace("\n", " ").replace("\r", " ")


def merge(target: dict[str, Member], patch: dict[str, Member]) -> dict[str, Member]:
    """`target` after the JSON merge patch `patch` (RFC 7396); neither is changed.

    A member that the patch leaves alone keeps its place and text, and so does a value that
    the patch brings; only objects that are changed by the merge are put together anew. Each text
    is scanned once, however deep the patch goes.
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
    """A member of a patch: its text, and the members of its value if that is an object."""

    key: str
    text: str
    value: Any
    members: dict[str, _Branch] | None = None


def _branch(key: str, _: str, text: str, at: int, value: Any) -> tuple[_Branch, int]:
    """The member of a patch whose value begins there, and where it ends."""
    if isinstance(value, dict):
        members, end = _cut(text, at, value, _Branch, _branch)
        return _Branch(key, text[at:end], value, members), end
    end = _end_of_value(text, at)
    return _Branch(key, text[at:end], value), end


def _whole(key: str, _: str, text: str, at: int, value: Any) -> tuple[Member, int]:
    """The member whose value begins there, and where it ends."""
    end = _end_of_value(text, at)
    return Member(key, text[at:end], value), end


def _grown(old: Member | None, patch: _Branch) -> Member:
    """The member after an object is merged into it."""
    members = patch.members or {}
    if old is not None and isinstance(old.value, dict):
        return _merged(old.key, old.text, 0, old.value, members)[0]
    return _merged(old.key if old else patch.key, "{}", 0, {}, members)[0]


def _merged(
    key: str, text: str, at: int, values: dict[str, Any], patch: dict[str, _Branch]
) -> tuple[Member, int]:
    """The object that begins there after the merge, as a member, and where it ended before it."""

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
        return Member(key, text[at:end], values), end  # nothing is changed: it keeps its spaces too
    value = {name: member.value for name, member in members.items()}
    return Member(key, format_object(members), value), end


def _members(text: str, values: dict[str, Any]) -> dict[str, Member]:
    """Cuts an object's text into its members; the text is known to be valid."""
    return _cut(text, text.index("{"), values, Member, _whole)[0]


def _cut(
    text: str,
    at: int,
    values: dict[str, Any],
    plain: Callable[[str, str, Any], Cut],
    nested: Callable[[str, str, str, int, Any], tuple[Cut, int]],
) -> tuple[dict[str, Cut], int]:
    """The members of the object that begins there, and where it ends.

    Args:
        text: is known to be valid.
        at: where the object's brace is.
        values: the object decoded.
        plain: makes a member of a key, a text and a value that has no others in it.
        nested: makes a member of a key, a name, the text, the place of a value, and the value;
            returns it, and where the value ends.
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

    Outside of strings, each pass takes away the innermost brackets. All of it is done by functions
    in C: a text of 64 KiB can have that many brackets.
    """
    outside = "".join(outside_of_strings(text)).encode()
    brackets = outside.translate(_AS_BRACKETS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _refuse_lone_surrogates(values: object) -> None:
    """Half of a surrogate pair is no character (RFC 8259 §8.2): no UTF-8 text can carry it."""
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise InvalidRequest(
            f"{half} is half of a surrogate pair and no character: write both halves, or none."
        ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        [(twice, _)] = counts.most_common(1)
        raise InvalidRequest(
            f"The member {json.dumps(twice)} stands twice in one object: write it once."
        )
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"{name} is not JSON: a number is written in digits (RFC 8259 §6).")


def _float(text: str) -> float:
    """For comparisons only: what is beyond a double's range is as large as a double can be."""
    value = float(text)
    return value if isfinite(value) else (-1 if value < 0 else 1) * float_info.max


def _int(text: str) -> int | float:
    return int(text) if len(text) <= _INT_DIGITS else _float(text)


_INT_DIGITS = get_int_max_str_digits() or 4300  # 0: the process was told not to limit them
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
"""Reads what `parse_object` takes, and other JSON: an integer may have any number of digits, though
Python's own decoder refuses those of more than 4,300."""
_scan_once = json.JSONDecoder(parse_int=str, parse_float=str).scan_once  # type: ignore[attr-defined]  # public, untyped
"""Finds the end of a value; numbers are not read."""
