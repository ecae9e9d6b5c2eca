"""The table of settings, from `guidkeep.settings`: for docs/operating.md."""

from __future__ import annotations

from guidkeep.settings import ROWS, flag, variable


def table() -> str:
    """Returns the table as Markdown."""
    lines = ["| flag | variable | default | what it does |", "|---|---|---|---|"]
    for row in ROWS:
        default = f"`{row.metadata['default']}`" if row.metadata["default"] else "none"
        about = row.metadata["help"].replace("|", "\\|")
        metavar = row.metadata["metavar"].replace("|", "\\|")
        lines.append(
            f"| `{flag(row.name)} {metavar}` | `{variable(row.name)}` | {default} | {about} |"
        )
    return "\n".join(lines)
