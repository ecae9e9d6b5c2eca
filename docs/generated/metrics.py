"""The table of metrics, from `guidkeep.metrics`: for docs/operating.md."""

from __future__ import annotations

from guidkeep.metrics import TABLE


def table() -> str:
    """Returns the table as Markdown."""
    lines = ["| name | kind | labels | meaning |", "|---|---|---|---|"]
    for row in TABLE:
        labels = ", ".join(f"`{label}`" for label in row.labels)
        about = f"{row.help}. {row.notes}".strip()
        lines.append(f"| `{row.shown}` | {row.kind} | {labels} | {about} |")
    return "\n".join(lines)
