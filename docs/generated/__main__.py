"""Writes the generated parts of CONTRIBUTING.md and docs/*.md: `make docs`."""

from __future__ import annotations

from pathlib import Path

from docs.generated import written

if __name__ == "__main__":
    root = Path(__file__).parents[2]
    for page in sorted([*root.glob("*.md"), *root.glob("docs/*.md")]):
        page.write_text(written(page.read_text()))
