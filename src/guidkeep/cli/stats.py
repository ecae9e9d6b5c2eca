"""`guidkeep stats` and `guidkeep forecast`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from guidkeep.cli.output import ACCENT, printable
from guidkeep.cli.runner import with_client
from guidkeep.record import instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guidkeep.cli.output import Output
    from guidkeep.client import Client, Stats

WEEK = 7
EIGHTHS = " ▏▎▍▌▋▊▉█"
BEFORE_BARS = 17
"""Characters beside a bar, except those of the number."""
NARROWEST = 10
"""The smallest width of the longest bar, on any terminal."""


@with_client
def stats(client: Client, _: dict[str, Any], output: Output) -> int:
    """Shows the service's statistics."""
    found = client.stats()
    if output.is_table:
        output.pairs(_rows(found))
    else:
        output.line(found.text)
    return 0


@with_client
def forecast(client: Client, options: dict[str, Any], output: Output) -> int:
    """Draws how many records expire on each of the next days."""
    found = client.stats()
    days = found.forecast[: options["days"]]
    later = found.later + sum(day.expire for day in found.forecast[options["days"] :])
    if not output.is_table:
        listed = [{"date": day.date.isoformat(), "expire": day.expire} for day in days]
        output.line(json.dumps({"forecast": listed, "later": later}))
        return 0
    width = max(len(f"{count:,}") for count in (later, *(day.expire for day in days)))
    room = max(output.width - width - BEFORE_BARS, NARROWEST)
    most = max((day.expire for day in days), default=0) or 1
    for day in days:
        name = f"{day.date:%a %Y-%m-%d} {day.expire:>{width},}"
        bar = _bar(day.expire / most * room)
        output.parts((f"{name} " if bar else name, ""), (bar, ACCENT))
    output.line(f"later          {later:>{width},}")
    return 0


def _rows(found: Stats) -> list[tuple[str, str]]:
    hits, misses = found.cache.get("hits") or 0, found.cache.get("misses") or 0
    asked = hits + misses
    week = sum(day.expire for day in found.forecast[:WEEK])
    cache = [
        ("cache", printable(str(found.cache.get("url")))),
        ("  hits", f"{hits:,} of {asked:,} ({hits / asked:.1%})" if asked else "no look-ups"),
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
        *_requests(found.requests),
    ]


def _requests(requests: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the number and mean duration of each kind of request, the most frequent first."""
    kinds = [kind for kind in requests.get("kinds", []) if kind["count"]]
    rows = [("requests", _number(sum(kind["count"] for kind in kinds)))]
    for kind in sorted(kinds, key=lambda kind: -kind["count"]):
        name = printable(f"  {kind['method']} {kind['route']} {kind['status']}")
        mean = kind["seconds"] / kind["count"] * 1000
        rows.append((name, f"{_number(kind['count'])}, {mean:.2f} ms each"))
    return rows


def _number(number: int | None) -> str:
    return "not known" if number is None else f"{number:,}"


def _bar(length: float) -> str:
    whole, part = divmod(round(length * 8), 8)
    return EIGHTHS[8] * whole + EIGHTHS[part].strip()
