"""Exit codes, and the one table from errors to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidkeep import errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guidkeep.errors import GuidkeepError

DONE = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
REFUSED = 4
CONFLICT = 5
UNAVAILABLE = 6
UNKNOWN = 7
INTERRUPTED = 130
BROKEN_PIPE = 141

MEANINGS = {
    DONE: "done",
    FAILED: "not everything was done (lines refused, stores that differ), or any other error",
    USAGE: "the command line is wrong",
    NOT_FOUND: "there is no live record of that GUID",
    REFUSED: "the request is not valid; nothing was changed",
    CONFLICT: "the record exists already, or is not the version that --if-match names",
    UNAVAILABLE: "no Guidkeep responds there at present; only an import or copy may have "
    "changed something",
    UNKNOWN: "a write may have happened, but its response was lost: read the record",
    INTERRUPTED: "interrupted by Ctrl-C",
}
"""The meaning of each code, for help and docs."""

_CODES: tuple[tuple[type[errors.GuidkeepError], int], ...] = (
    (errors.OutcomeUnknown, UNKNOWN),
    (errors.TemporaryError, UNAVAILABLE),
    (errors.ClientSideError, UNAVAILABLE),
    (errors.NotFound, NOT_FOUND),
    (errors.PreconditionFailed, CONFLICT),
    (errors.InvalidRequest, REFUSED),
    (errors.BodyTooLarge, REFUSED),
    (errors.HeadersTooLarge, REFUSED),
    (errors.StartupError, USAGE),
)

_ADVICE: tuple[tuple[type[errors.GuidkeepError], str], ...] = (
    (errors.OutcomeUnknown, "Read the record to find out."),
    (errors.Unreachable, "Is it running there? --url or GUIDKEEP_URL says where it is."),
    (errors.UnknownAnswer, "--url or GUIDKEEP_URL says where Guidkeep is."),
    (errors.TemporaryError, "Try again in a while."),
)


def code_of(error: GuidkeepError) -> int:
    """Returns the exit code for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def sentence_of(error: GuidkeepError) -> str:
    """Returns the message for an error: the fault and the remedy."""
    advice = next((f" {text}" for kind, text in _ADVICE if isinstance(error, kind)), "")
    message = f"{error.detail}{advice}"
    return f"{message} (request id {error.request_id})" if error.request_id else message


def listed(codes: Iterable[int]) -> str:
    """Returns the codes with their meanings, one on each line, for help."""
    lines = [f"  {code:<5}{MEANINGS[code]}" for code in sorted(codes)]
    return "\n".join(["Exit codes:", *lines])
