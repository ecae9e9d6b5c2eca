"""The parts of the pages that `make docs` writes are up to date with the code's tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import guidkeep
from docs.generated import PARTS, written
from guidkeep.settings import ROWS, flag, variable
from tests.docs.pages import PAGES, text_of

if TYPE_CHECKING:
    from pathlib import Path

MARKED = {
    page: re.findall(r"^<!-- (\w[^>]*) -->$", text_of(page), re.MULTILINE)
    for page in PAGES
    if "\n<!-- " in text_of(page)
}


@pytest.mark.parametrize("page", MARKED, ids=str)
def test_a_page_has_its_generated_parts_as_they_would_be_made_now(page: Path) -> None:
    text = text_of(page)
    assert written(text) == text, "run `make docs`"
    for name in MARKED[page]:
        assert name in PARTS, f"docs/generated/ makes no part {name!r}"
        assert f"\n<!-- /{name} -->" in text


@pytest.mark.parametrize("name", PARTS)
def test_each_part_that_can_be_made_stands_in_a_page(name: str) -> None:
    assert any(name in names for names in MARKED.values())


def test_only_what_is_between_the_marks_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "settings", lambda: "new \\1")
    page = "before\n<!-- settings -->\nold\n<!-- /settings -->\nafter \\1\n"
    made = "before\n<!-- settings -->\nnew \\1\n<!-- /settings -->\nafter \\1\n"
    assert written(page) == made
    assert written(made) == made
    assert written("no marks here\n") == "no marks here\n"


def test_the_table_of_settings_has_a_row_for_each() -> None:
    head, rule, *rows = PARTS["settings"]().splitlines()
    assert head.count("|") == rule.count("|") == 5
    for row, line in zip(ROWS, rows, strict=True):
        assert line.startswith(f"| `{flag(row.name)} ")
        assert f"`{variable(row.name)}`" in line
        assert len(re.findall(r"(?<!\\)\|", line)) == 5


def test_the_reference_of_the_client_has_every_public_name() -> None:
    for name in guidkeep.__all__:
        assert f"guidkeep.{name}" in text_of("docs/client.md")
