"""Why a text is not JSON, said from the text and the place where the decoder stopped.

The decoder's own words are not used: they differ between versions of Python, and so, by a few
characters, do its places.
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
    """What is wrong, what would be right, and where, without a full stop."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = error.doc
    what, at = _in_string(text, error.pos) or _between_tokens(text, error.pos)
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return f"{what} (line {line}, column {column})"


def _in_string(text: str, at: int) -> tuple[str, int] | None:
    """What is wrong with a string, and where; None: the place is in no string."""
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
        return f"a comma before '{text[at]}' is one too many: take it away", at
    return f"expected {_expected(before, last)}, found {_shown(text, at)}", at


def _expected(before: list[str], last: str) -> str:
    """What may come after that text, of which the parts outside of strings are given."""
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
    """The bracket that was opened last of those that are open at the end; empty: there is none."""
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
    """The parts of valid JSON, or of its beginning, that lie between strings."""
    return text.replace("\\\\", "").replace('\\"', "").split('"')[::2]


def _shown(text: str, at: int) -> str:
    if at >= len(text):
        return "the end"
    if not " " < text[at] < "\x7f":
        return f"U+{ord(text[at]):04X}"
    return '"\'"' if text[at] == "'" else f"'{text[at]}'"


def end_of_space(text: str, at: int) -> int:
    """Where the white space that may begin at this place ends."""
    found = _space(text, at)
    return found.end() if found else at  # pragma: no branch - the pattern matches everywhere
