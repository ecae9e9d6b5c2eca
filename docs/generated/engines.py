"""The table of the servers that tests start, from `servers`: for CONTRIBUTING.md."""

from __future__ import annotations

from guidkeep.system.environment import PREFIX
from servers import ENGINES


def table() -> str:
    """Returns the table as Markdown."""
    rows = (
        f"| `{engine.name}` | {f'store `{engine.store}`' if engine.store else ''}"
        f"{f'cache `{engine.cache}`' if engine.cache else ''} "
        f"| `{PREFIX}TEST_{engine.name.upper()}_URL` |"
        for engine in ENGINES
    )
    return "\n".join(
        ["| server | runs | a server that is already running |", "|---|---|---|", *rows]
    )
