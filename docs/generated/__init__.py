"""The parts of the pages that are made from a table in the code; `make docs` writes them.

A page marks the place of a part by two lines, `<!-- NAME -->` and `<!-- /NAME -->`. Never edit the
text between them by hand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmarks.scenarios.hostile import comparison
from docs.generated import client, commands, engines, metrics, problems, settings

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS: dict[str, Callable[[], str]] = {
    "settings": settings.table,
    "problems": problems.table,
    "metrics": metrics.table,
    "reference": client.reference,
    "commands": commands.reference,
    "exit codes": commands.exit_codes,
    "engines": engines.table,
    "hostile": comparison.table_of_the_runs,
}
"""The function that makes each part, by the name in its marks."""


def written(page: str) -> str:
    """Returns the text of a page with its parts made anew."""
    for name, make in PARTS.items():
        if f"<!-- {name} -->" in page:
            part = f"<!-- {name} -->\n{make()}\n<!-- /{name} -->"
            found = rf"<!-- {name} -->.*?<!-- /{name} -->"
            page = re.sub(found, part.replace("\\", r"\\"), page, flags=re.DOTALL)
    return page
