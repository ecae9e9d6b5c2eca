"""Times and durations on the command line and in CSV columns."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from guidkeep.errors import StartupError
from guidkeep.record import parse_seconds, shortened
from guidkeep.units import parse_duration

DEFAULT = "default"
"""The value of `--expire` for the service's default lifetime."""

_duration = re.compile(r"[0-9.]+ *(ms|s|m|h|d)", re.IGNORECASE).fullmatch


def parse_expire(text: str, *, now: float) -> int | None:
    """Returns the Unix time in seconds for a value of `--expire`; None for the default lifetime.

    Args:
        text: Unix time, a date with or without time and zone (UTC if none is given), a time from
            now as `30d`, or `default`.
        now: Unix time in seconds.

    Raises:
        StartupError: the text is none of these.
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
            f"{shortened(text)!r} is not a time: write Unix time in seconds, a date as 2027-01-01 "
            "or 2027-01-01T12:00+02:00 (UTC without a zone), or a time from now as 12h or 30d."
        ) from error
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


def parse_ttl(text: str) -> int:
    """Returns the seconds for a value of `--ttl`: a number of seconds, or a duration as `15m`.

    Raises:
        StartupError: the text is neither.
    """
    seconds = parse_seconds(text)
    if seconds is not None:
        return seconds
    if _duration(text):
        return int(parse_duration(text))
    raise StartupError(
        f"{shortened(text)!r} is not a duration: write whole seconds as 3600, or 15m, 12h or 30d."
    )
