"""The texts agree with the code: settings, metrics, problems, links, versions, targets.

`test_generated.py` checks the parts that are made from tables.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from guidkeep import settings
from guidkeep.caches import CacheOptions, open_cache
from guidkeep.http import representation
from guidkeep.http.routes import routes
from guidkeep.metrics import TABLE
from guidkeep.record import Record
from tests.docs.pages import PAGES, ROOT, text_of

if TYPE_CHECKING:
    import dataclasses
    from collections.abc import Iterator
    from pathlib import Path


DECISIONS = [page for page in PAGES if page.parent.name == "decisions"]


def requirements() -> Iterator[str]:
    """Yields the requirements: those at run time, of the extras, and of the development groups."""
    table = tomllib.loads(text_of("pyproject.toml"))
    yield from table["project"]["dependencies"]
    for extra in table["project"]["optional-dependencies"].values():
        yield from (one for one in extra if not one.startswith("guidkeep["))
    for group in table["dependency-groups"].values():
        for one in group:  # an included group is a table
            if isinstance(one, str) and not one.startswith("guidkeep["):
                yield one


def links(page: Path) -> list[str]:
    """Returns the targets of a page's links and pictures."""
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    inline = re.findall(r"\]\(([^)\s]+)\)", text)
    return inline + re.findall(r"^\[[^]]+\]: (\S+)$", text, re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Returns the fragments of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("row", settings.ROWS, ids=lambda row: row.name)
def test_every_setting_is_documented(row: dataclasses.Field[object]) -> None:
    text = re.sub(
        r"<!-- settings -->.*<!-- /settings -->",
        "",
        text_of("docs/operating.md"),
        flags=re.DOTALL,
    )
    assert re.search(rf"{settings.flag(row.name)}(?![\w-])", text)


def test_every_documented_metric_exists() -> None:
    parts = ("_bucket", "_count", "_sum")
    known = {row.shown + part for row in TABLE for part in ("", *parts)}
    named = set(re.findall(r"guidkeep_\w+", text_of("docs/operating.md")))
    assert named - {"guidkeep_schema"} <= known  # guidkeep_schema is a table of the stores


@pytest.mark.parametrize(
    ("path", "method"),
    [(route.path, method) for route in routes() if route.is_documented for method in route.methods],
)
def test_every_route_is_documented_with_its_methods(path: str, method: str) -> None:
    section = text_of("docs/api.md").partition("\n## Routes\n")[2].partition("\n## ")[0]
    form = f"(GET )?{re.escape(path)}" if method == "GET" else f"{method} {re.escape(path)}"
    assert re.search(f"`{form}`", section)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_and_picture_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"https?://", link):
            continue
        path, _, fragment = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert target.resolve().is_relative_to(ROOT), link
        assert not fragment or fragment in anchors(target.read_text()), link


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_page_can_be_reached_from_the_readme(page: Path) -> None:
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        current = ahead.pop()
        if current in seen or current.suffix != ".md" or not current.exists():
            continue
        seen.add(current)
        paths = [link.partition("#")[0] for link in links(current.relative_to(ROOT))]
        ahead += [(current.parent / path).resolve() for path in paths]
    assert ROOT / page in seen


def test_the_picture_is_well_formed_and_needs_nothing_from_elsewhere() -> None:
    text = text_of("docs/parts.svg")
    ET.fromstring(text)  # noqa: S314 - our own file
    assert set(re.findall(r"https?://[^\"\s]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "prefers-color-scheme: dark" in text


def test_decisions_are_numbered_on_and_have_their_three_parts() -> None:
    assert [page.name[:4] for page in DECISIONS] == [
        f"{number:04}" for number in range(1, len(DECISIONS) + 1)
    ]
    for page in DECISIONS:
        text = text_of(page)
        assert text.startswith(f"# {int(page.name[:4])}. ")
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings[0] == "The question", page
        assert headings[1] in ("What was measured", "What was weighed"), page
        assert headings[2:] == ["The answer"], page


def test_every_dependency_has_its_line() -> None:
    table = text_of("docs/decisions/0002-dependencies.md")
    for requirement in requirements():
        name = re.split(r"[<>=\[]", requirement)[0]
        assert re.search(rf"^\| [^|]*\b{name}(?![\w-])[^|]* \|", table, re.MULTILINE), name


def test_the_changelog_has_this_version() -> None:
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    assert f"\n## [{version}] - " in text_of("CHANGELOG.md")


def test_make_help_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", text_of("Makefile"), re.MULTILINE)
    assert phony
    targets = set(phony[1].split())
    rules = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = dict(re.findall(r"^ +make (\w+) +(\S.*)$", done.stdout, re.MULTILINE))
    assert rules == targets == set(listed)


async def test_the_cache_holds_as_many_records_as_the_page_says() -> None:
    assert "256 MiB hold over half a million" in " ".join(text_of("docs/operating.md").split())
    cache = open_cache("memory://", CacheOptions(max_age=60, form=representation))
    record = Record("9094E4C980C74043A4B586B420E69DDF", 4102444800, 1, '{"user": "Cylance, Inc."}')
    await cache.settle(await cache.lease(record.guid), record, now=0)
    assert cache.counts.entries == 1
    assert 500_000 < 256 * 2**20 / cache.counts.bytes < 600_000
