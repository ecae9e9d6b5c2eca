"""Files to import, the files that an import leaves beside them, and a failing service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guidkeep import AsyncClient

if TYPE_CHECKING:
    import pytest

FILE = Path("records")
STATE = Path("records.import")
REFUSED = Path("records.refused")


def write(rows: list[dict[str, Any]]) -> None:
    FILE.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


class Failing:
    """Lets that many batches through, then raises an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, good: int, error: BaseException) -> None:
        write_batch = AsyncClient.write
        left = good

        async def write(client: Any, batch: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise error
            return await write_batch(client, batch, **options)

        monkeypatch.setattr(AsyncClient, "write", write)
