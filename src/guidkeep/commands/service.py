"""`guidkeep stats` and `guidkeep forecast`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from guidkeep.commands.output import day_name, printable
from guidkeep.record import instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guidkeep.client import Client, Day, Stats
    from guidkeep.commands.output import Output

WEEK = 7
EIGHTHS = " ▏▎▍▌▋▊▉█"
NARROWEST = 10
"""Characters of the longest bar, however narrow the terminal is."""


def stats(client: Client, _: dict[str, Any], output: Output) -> int:
    """Shows the service's figures."""
    found = client.stats()
    if output.is_table:
        output.pairs(_figures(found))
    else:
        output.line(found.text)
    return 0


def forecast(client: Client, options: dict[str, Any], output: Output) -> int:
    """Draws how many records expire on each of the next days."""
    found = client.stats()
    days = found.forecast[: options["days"]]
    later = found.later + sum(day.expire for day in found.forecast[options["days"] :])
    if not output.is_table:
        listed = [{"date": day.date.isoformat(), "expire": day.expire} for day in days]
        output.line(json.dumps({"forecast": listed, "later": later}))
        return 0
    for line in _bars(days, output):
        output.line(line)
    output.line(f"later{later:>{_width(days) + 11},}")
    return 0


def _figures(found: Stats) -> list[tuple[str, str]]:
    hits, misses = found.cache.get("hits") or 0, found.cache.get("misses") or 0
    asked = hits + misses
    week = sum(day.expire for day in found.forecast[:WEEK])
    cache = [
        ("cache", printable(str(found.cache.get("url")))),
        ("  hits", f"{hits:,} of {asked:,} ({hits / asked:.1%})" if asked else "none asked for"),
        ("  entries", _number(found.cache.get("entries"))),
        ("  bytes", _number(found.cache.get("bytes"))),
    ]
    today = found.forecast[0].expire if found.forecast else 0
    return [
        ("as of", instant(found.as_of)),
        ("live", _number(found.live)),
        ("  expire today", _number(today)),
        ("  in 7 days", _number(week)),
        ("  after 90 days", _number(found.later)),
        ("reclaimed", _number(found.reclaimed)),
        *cache,
        ("requests", ""),
        *((f"  {printable(name)}", _number(count)) for name, count in found.requests.items()),
    ]


def _number(figure: Any) -> str:
    if figure is None:
        return "not known"
    return f"{figure:,}" if isinstance(figure, int | float) else printable(json.dumps(figure))


def _bars(days: Sequence[Day], output: Output) -> list[str]:
    """A line a day: its date, how many expire, and a bar."""
    console = output.console()
    width = _width(days)
    room = max(console.width - width - 18, NARROWEST)
    most = max((day.expire for day in days), default=0) or 1
    return [
        f"{day_name(day.date.isoformat())} {day.date} {day.expire:>{width},} "
        f"{_bar(day.expire / most * room)}".rstrip()
        for day in days
    ]


def _width(days: Sequence[Day]) -> int:
    """Characters of the longest number."""
    return max((len(f"{day.expire:,}") for day in days), default=1)


def _bar(length: float) -> str:
    whole, part = divmod(round(length * 8), 8)
    return EIGHTHS[8] * whole + EIGHTHS[part].strip()
