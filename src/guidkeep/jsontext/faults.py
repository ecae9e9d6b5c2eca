"""Explains why a text is not JSON, from the text and the place where the decoder stopped.

The decoder's own messages differ between versions of Python, and its places differ by a few
characters, so neither is used directly.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from json import JSONDecodeError

_space = re.compile(r"[ \t\n\r]*").match
_string = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_WHITE = " \t\n\r"


def explained(error: JSONDecodeError | RecursionError) -> str:
    """Returns a clause: the fault, what would be right, and the place. It has no full stop."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = error.doc
    what, at = _in_string(text, error.pos) or _between_tokens(text, error.pos)
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return f"{what} (line {line}, column {column})"


def _in_string(text: str, at: int) -> tuple[str, int] | None:
    """Returns the fault of a string and its place; None: the place is not in a string."""
    escape = text.rfind("\\", max(at - 2, 0), at + 1)
    if escape >= 0 and text[escape + 1 : escape + 2] == "u":
        return "after \\u there must be four hexadecimal digits", escape
    if text[at : at + 1] == "\\":
        return 'a backslash must be written \\\\, unless one of "\\/bfnrtu follows it', at
    if text[at : at + 1] == '"' and not _string.match(text, at):
        return "the string that begins here has no closing quote", at
    if "" < text[at : at + 1] < " ":
        return f"in a string {_shown(text, at)} must be escaped, as in \\n or \\u001f", at
    return None


def _between_tokens(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] == ",":  # some decoders stop at such a comma, others after it
        after = end_of_space(text, at + 1)
        at = after if text[after : after + 1] in ("}", "]") else at
    before = outside_of_strings(text[:at])
    last = before[-1].rstrip(_WHITE)[-1:]
    if last == "," and text[at : at + 1] in ("}", "]"):
        return f"a comma before '{text[at]}' is one too many: remove it", at
    return f"expected {_expected(before, last)}, found {_shown(text, at)}", at


def _expected(before: list[str], last: str) -> str:
    """What may follow a text, given its parts outside of strings."""
    within = _innermost("".join(before))
    if not within:
        return "nothing more" if last or len(before) > 1 else "a value"
    if last == ":" or (within == "[" and last in ("[", ",")):
        return "a value"
    if within == "{" and last in ("{", ","):
        return "a name in double quotes"
    if within == "{" and not last and before[-2].rstrip(_WHITE)[-1:] in ("{", ","):
        return "':' after the name"
    return "',' or '}'" if within == "{" else "',' or ']'"


def _innermost(text: str) -> str:
    """The innermost bracket that is open at the end of the text; empty if there is none."""
    closed = 0
    for at in range(len(text) - 1, -1, -1):
        if text[at] in "}]":
            closed += 1
        elif text[at] in "{[":
            if not closed:
                return text[at]
            closed -= 1
    return ""


def outside_of_strings(text: str) -> list[str]:
    """Returns the parts of valid JSON, or of a beginning of it, that are outside of strings."""
    return text.replace("\\\\", "").replace('\\"', "").split('"')[::2]


def _shown(text: str, at: int) -> str:
    if at >= len(text):
        return "the end"
    if not " " < text[at] < "\x7f":
        return f"U+{ord(text[at]):04X}"
    return '"\'"' if text[at] == "'" else f"'{text[at]}'"


def end_of_space(text: str, at: int) -> int:
    """Returns the end of the white space, if any, that begins at a place."""
    found = _space(text, at)
    return found.end() if found else at  # pragma: no branch - the pattern matches everywhere
