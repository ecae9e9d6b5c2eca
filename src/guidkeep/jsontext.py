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
from json.decoder import scanstring  # type: ignore[attr-defined]  # public, untyped
from math import isfinite
from sys import float_info, get_int_max_str_digits
from typing import Any, NamedTuple, NoReturn

from guidkeep.errors import InvalidRequest
from guidkeep.jsonfaults import end_of_space, explained

MAX_DEPTH = 32
"""How deep arrays and objects may nest; the body's own object is the first level."""

_brackets = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


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
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
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
    the patch brings; only objects that are changed by the merge are put together anew.
    """
    merged = dict(target)
    for name, new in patch.items():
        if new.value is None:
            merged.pop(name, None)
        elif isinstance(new.value, dict):
            old = merged.get(name)
            into = _members(old.text, old.value) if old and isinstance(old.value, dict) else {}
            inner = merge(into, _members(new.text, new.value))
            if old and isinstance(old.value, dict) and inner == into:
                continue  # nothing in it is changed: it keeps its text, spaces too
            value = {key: member.value for key, member in inner.items()}
            merged[name] = Member(old.key if old else new.key, format_object(inner), value)
        else:
            merged[name] = new
    return merged


def _members(text: str, values: dict[str, Any]) -> dict[str, Member]:
    """Cuts an object's text into its members; the text is known to be valid."""
    members = {}
    at = end_of_space(text, text.index("{") + 1)
    while text[at] == '"':
        name, end = scanstring(text, at + 1, True)
        key = text[at:end]
        start = end_of_space(text, text.index(":", end) + 1)
        _, end = _scan_once(text, start)
        members[name] = Member(key, text[start:end], values[name])
        at = end_of_space(text, end)
        at = end_of_space(text, at + 1) if text[at] == "," else at
    return members


def _decode(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"The body must be UTF-8 (RFC 8259); byte {error.start} is not."
        ) from error


def _depth(text: str) -> int:
    """How deep the arrays and objects of a valid JSON text nest."""
    depth = deepest = 0
    for found in _brackets.findall(text):
        depth += (found in "[{") - (found in "]}")
        deepest = max(deepest, depth)
    return deepest


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
_scan_once = _decoder.scan_once  # type: ignore[attr-defined]  # public, untyped
