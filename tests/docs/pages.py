"""The pages there are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = sorted(
    page.relative_to(ROOT)
    for pattern in ("*.md", "docs/*.md", "docs/decisions/*.md")
    for page in ROOT.glob(pattern)
)
"""Those that people write; `docs/measured/` is made by `make bench`."""


def text_of(name: str | Path) -> str:
    """A page's text."""
    return (ROOT / name).read_text()
