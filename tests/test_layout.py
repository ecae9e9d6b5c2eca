"""The layout of the package: few modules at its root, and no cycle among its imports.

The order of the rooms is in the import contracts of pyproject.toml. Here every import counts, those
for type checkers and those inside of functions too.
"""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import guidkeep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(guidkeep.__file__).parent
MOST = 12
"""Modules at the package's root, at most; so many a stranger can look through."""


def modules() -> dict[str, Path]:
    """The files of all modules by name; a package stands under its own name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = modules()


def imports(path: Path) -> Iterator[str]:
    """The names of the package's modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                if inner in MODULES:
                    yield inner
                elif node.module in MODULES:
                    yield str(node.module)


@cache
def arrows() -> dict[str, set[str]]:
    """What each module imports."""
    return {name: {*imports(path)} - {name} for name, path in MODULES.items()}


def room_of(module: str) -> str:
    """The first part of a module's name below the package."""
    return module.split(".")[1] if "." in module else module


def rooms() -> dict[str, set[str]]:
    """What each room, or module at the root, imports of others."""
    found: dict[str, set[str]] = {}
    for module, imported in arrows().items():
        room = room_of(module)
        found.setdefault(room, set()).update({*map(room_of, imported)} - {room})
    return found


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """The modules of one cycle; none if there is no cycle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_import_cycle_joins_modules_those_for_types_included() -> None:
    assert cycle(arrows()) == []


def test_no_import_cycle_joins_rooms() -> None:
    assert cycle(rooms()) == []


def test_a_cycle_would_be_found() -> None:
    assert cycle(arrows() | {"guidkeep.errors": {"guidkeep.metrics", "guidkeep.registry.registry"}})
    assert cycle(rooms() | {"errors": {"stores"}})


def test_imports_for_types_and_inside_functions_count() -> None:
    assert "guidkeep.metrics" in arrows()["guidkeep.stores.sqlite.store"]


def test_the_root_has_few_modules() -> None:
    at_the_root = {path.name for path in ROOT.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert len(at_the_root) <= MOST, sorted(at_the_root)


@pytest.mark.parametrize("room", sorted(path.name for path in ROOT.iterdir() if path.is_dir()))
def test_a_room_says_what_it_is_for(room: str) -> None:
    if room != "__pycache__":
        assert ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text()))


def named_loggers(text: str) -> list[int]:
    """The lines that make a logger of structlog with another name than the module's."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("get_logger")
        and list(map(ast.unparse, node.args)) != ["__name__"]
    ]


def test_a_logger_has_the_name_of_its_module() -> None:
    found = {name: named_loggers(path.read_text()) for name, path in MODULES.items()}
    assert not {name: lines for name, lines in found.items() if lines}
    assert named_loggers('log = structlog.get_logger("guidkeep.http")\nget_logger()') == [1, 2]
