"""In this folder `opener` and `store` are SQLite's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stores.conftest import local_urls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def new_url(tmp_path: Path) -> Callable[[], str]:
    return local_urls("sqlite", tmp_path)
