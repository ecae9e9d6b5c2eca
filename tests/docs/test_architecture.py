"""The page on the architecture names every part that there is, and none that is not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.docs.pages import PAGES, ROOT, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = ROOT / "src" / "guidkeep"
NOT_CODE = {"http/console", "http/docs"}
"""Files that a browser is sent; their room is `http/`."""
NOT_MODULES = {"db.py", "db-lock.py", "db-claims.py"}
"""What the text calls `guidkeep.db` is a file of records."""
BACKENDS = {"caches", "cli", "stores"}
"""Rooms whose own folders are named by their tables."""


def rooms() -> set[str]:
    """Each folder of the package that has modules, but those within a room of backends."""
    folders = {path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")}
    return {
        str(folder)
        for folder in folders
        if folder.parts and not (len(folder.parts) > 1 and folder.parts[0] in BACKENDS)
    } - NOT_CODE


def modules() -> set[str]:
    """The modules at the package's root."""
    return {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}


def test_every_room_and_every_module_at_the_root_has_its_row() -> None:
    text = text_of("docs/architecture.md")
    assert set(re.findall(r"^\| \[`([\w/]+)/`\]", text, re.MULTILINE)) == rooms()
    assert set(re.findall(r"^\| \[`(\w+)`\]", text, re.MULTILINE)) == modules()


def test_the_architecture_is_one_page() -> None:
    assert len(text_of("docs/architecture.md").splitlines()) <= 120
    assert len(modules()) <= 12


def named_modules(path: Path) -> Iterator[str]:
    """The modules that a page, a docstring or a comment names, as paths below the package."""
    text = path.read_text()
    yield from re.findall(r"`(?:src/guidkeep/)?((?:[a-z_]+/)+[a-z_]+\.py)`", text)
    for name in re.findall(r"`guidkeep\.([a-z_.]+)`", text):
        yield name.replace(".", "/") + ".py"


def exists(path: str) -> bool:
    """Whether there is such a module, or a room of that name, or what has it as its attribute."""
    if path in NOT_MODULES or f'= "guidkeep.{path.removesuffix(".py")}"\n' in SOURCE:  # ASGI's keys
        return True
    found = PACKAGE / path
    places = (
        found,
        found.with_suffix(""),
        found.parent.with_suffix(".py"),
        ROOT / path,
        ROOT / "src" / path,
    )
    return any(place.exists() for place in places)


SOURCE = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
WRITTEN = [
    *(ROOT / page for page in PAGES if page.name != "CHANGELOG.md"),  # that tells of the past
    *(path for folder in ("src", "tests", "servers") for path in (ROOT / folder).rglob("*.py")),
]


def test_every_module_that_a_text_names_exists() -> None:
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in WRITTEN
        for name in named_modules(path)
        if not exists(name)
    }
    assert not missing
