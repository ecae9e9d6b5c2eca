"""Durations and sizes as people write them: `30d`, `500ms`, `64KiB`."""

from __future__ import annotations

import re

from guidkeep.errors import StartupError

LONGEST = 100 * 365.25 * 86_400
"""A hundred years in seconds. A longer duration is a mistake."""

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "": 1}
_BYTES = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_number = re.compile(r" *([0-9]{1,12}(?:\.[0-9]{1,9})?) *([a-z]*) *").fullmatch


def parse_duration(text: str) -> float:
    """Returns the seconds of `500ms`, `5s`, `1m`, `12h` or `30d`; a bare number is seconds.

    Raises:
        StartupError: the text is not a duration, or longer than a hundred years.
    """
    found = _number(text.lower())
    if not found or found[2] not in _SECONDS:
        raise StartupError(f"{text[:64]!r} is not a duration; write 500ms, 5s, 1m, 12h or 30d.")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if seconds > LONGEST:
        raise StartupError(f"{text[:64]!r} is more than a hundred years.")
    return seconds


def parse_size(text: str) -> int:
    """Returns the bytes of `64KiB`, `256MiB` or `1GiB`; a bare number is bytes.

    Raises:
        StartupError: the text is not a size.
    """
    found = _number(text.lower())
    if not found or found[2] not in _BYTES:
        raise StartupError(f"{text[:64]!r} is not a size; write 65536, 64KiB, 256MiB or 1GiB.")
    return int(float(found[1]) * _BYTES[found[2]])
