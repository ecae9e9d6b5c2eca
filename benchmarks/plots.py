"""Two plots as SVG, written by hand: small, no library, readable in light and dark."""

from __future__ import annotations

from html import escape
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from benchmarks.results import GUIDKEEP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 720
TOP = 76
"""The top of the drawing, below title and subtitle."""

STYLE = """
  text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .quiet { fill: #59636e; }
  .end { text-anchor: end; }
  .middle { text-anchor: middle; }
  .bar.ours, .name.ours { fill: #0969da; }
  .bar.theirs { fill: #afb8c1; }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
  .line.ours { stroke: #0969da; }
  .line.theirs { stroke: #8c959f; }
  .dot.ours { fill: #0969da; }
  .dot.theirs { fill: #8c959f; }
  .grid { stroke: #d1d9e0; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .quiet { fill: #9198a1; }
    .bar.ours, .name.ours, .dot.ours { fill: #4493f8; }
    .bar.theirs { fill: #59636e; }
    .line.ours { stroke: #4493f8; }
    .line.theirs { stroke: #9198a1; }
    .dot.theirs { fill: #9198a1; }
    .grid { stroke: #3d444d; }
  }
"""


def reads(rates: Mapping[str, float], shares: Mapping[str, float]) -> str:
    """Bars: reads a second, the fastest first, each with its share of nginx."""
    left, step, room = 180, 36, 140
    scale = (WIDTH - left - room) / max(rates.values())
    parts = []
    for at, (name, rate) in enumerate(sorted(rates.items(), key=lambda item: -item[1])):
        y, end = TOP + at * step, left + rate * scale
        share = ""
        if name in shares:
            share = f'<tspan class="quiet" dx="10">{shares[name]:.2f}</tspan>'
        parts += [
            f'<text class="end" x="{left - 12}" y="{y + 15}">{escape(name)}</text>',
            _bar(_kind(name), left, y, rate * scale),
            f'<text x="{end + 10:.1f}" y="{y + 15}">{rate:,.0f}{share}</text>',
        ]
    about = "servers on one core, load on another"
    if shares:
        about += "; in grey the share of nginx with a constant response"
    return _whole("GET a second", about, TOP + len(rates) * step, parts)


def writes(series: Mapping[str, Mapping[int, float]]) -> str:
    """Lines: durable creates a second by the number of connections."""
    left, right, height = 72, WIDTH - 150, 260
    clients = sorted({number for rates in series.values() for number in rates})
    columns = {
        number: left + 24 + (right - left - 48) * at / max(1, len(clients) - 1)
        for at, number in enumerate(clients)
    }
    marks = _marks(max(rate for rates in series.values() for rate in rates.values()))

    def y(rate: float) -> float:
        return TOP + height * (1 - rate / marks[-1])

    parts = []
    for mark in marks:
        across = f"M {left} {y(mark):.1f} H {right - 24}"
        parts += [
            f'<path class="grid" d="{across}"/>',
            f'<text class="quiet end" x="{left - 10}" y="{y(mark) + 5:.1f}">{mark:,.0f}</text>',
        ]
    parts += [
        f'<text class="quiet middle" x="{x:.1f}" y="{TOP + height + 24}">{number}</text>'
        for number, x in columns.items()
    ]
    for name, rates in series.items():
        points = [(columns[number], y(rates[number])) for number in sorted(rates)]
        parts += _line(name, points)
    parts.append(
        f'<text class="quiet middle" x="{(left + right) / 2}" y="{TOP + height + 48}">'
        "connections</text>"
    )
    about = "each on disk before its response; servers on one core, load on another"
    return _whole("Durable creates a second", about, TOP + height + 60, parts)


def _bar(kind: str, x: float, y: float, length: float) -> str:
    size = f'width="{length:.1f}" height="20" rx="2"'
    return f'<rect class="bar {kind}" x="{x}" y="{y}" {size}/>'


def _line(name: str, points: Sequence[tuple[float, float]]) -> list[str]:
    """A line with its points, and its name at the end."""
    kind = _kind(name)
    x, y = points[-1]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return [
        f'<polyline class="line {kind}" points="{path}"/>',
        *(f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points),
        f'<text class="name {kind}" x="{x + 14:.1f}" y="{y + 5:.1f}">{escape(name)}</text>',
    ]


def _marks(highest: float) -> list[float]:
    """About five round numbers, from 0 to the first that is at least `highest`."""
    rough = highest / 4
    power = 10 ** floor(log10(rough))
    step = next(power * digit for digit in (1, 2, 2.5, 5, 10) if power * digit >= rough)
    return [step * number for number in range(ceil(highest / step) + 1)]


def _kind(name: str) -> str:
    return "ours" if name.startswith(GUIDKEEP) else "theirs"


def _whole(title: str, about: str, height: float, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(about)}</desc>",
            f"<style>{STYLE}</style>",
            f'<text class="title" x="4" y="24">{escape(title)}</text>',
            f'<text class="quiet" x="4" y="48">{escape(about)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )
