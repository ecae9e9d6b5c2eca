"""The pages of the documentation."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = sorted(
    page.relative_to(ROOT)
    for pattern in ("*.md", "docs/*.md", "docs/decisions/*.md")
    for page in ROOT.glob(pattern)
)
"""Pages written by people; `make bench` writes `docs/measured/`."""


def text_of(name: str | Path) -> str:
    """Returns a page's text."""
    return (ROOT / name).read_text()
