"""The page on the architecture names every part that there is, and none that is not."""

from __future__ import annotations

import re
import tomllib
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


USED_BY_ROOMS = {"logs", "settings"}
"""Modules at the root that only a running server shows: their tests are those of `server/`."""


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


def test_the_order_of_the_parts_is_that_of_the_import_contract() -> None:
    contracts = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = contracts[0]["layers"]
    [order] = re.findall(
        r"^```text\n(.*?)^```", text_of("docs/architecture.md"), re.MULTILINE | re.DOTALL
    )
    assert order.splitlines() == layers


def test_the_folders_of_the_tests_are_those_of_the_package_and_those_that_the_page_names() -> None:
    text = text_of("docs/architecture.md")
    [row] = re.findall(r"^\| `tests/` \|.*$", text, re.MULTILINE)
    own = {name for name in re.findall(r"`(\w+)/`", row) if name != "tests"}
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    assert folders == {room for room in rooms() if "/" not in room} - {"testing"} | own


def test_the_tests_of_a_module_at_the_root_are_beside_its_room() -> None:
    """`tests/test_NAME.py` has those of `NAME`, and no room has a file of that name."""
    names = {f"test_{name}.py" for name in modules() - USED_BY_ROOMS}
    assert not [path for path in (ROOT / "tests").glob("*/**/test_*.py") if path.name in names]


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
