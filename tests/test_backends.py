"""The tables of stores and caches, and the packages that add one."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import guidkeep
from guidkeep import caches, stores
from guidkeep.backends import driver
from guidkeep.caches import CacheOptions, open_cache
from guidkeep.cli.main import main
from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics
from guidkeep.server.supervisor import check
from guidkeep.settings import Settings
from guidkeep.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path(guidkeep.__file__).parent
GROUPS = ("guidkeep.stores", "guidkeep.caches")


def test_a_driver_that_is_not_installed_is_named_with_what_installs_it() -> None:
    with pytest.raises(StartupError, match=r"pip install 'guidkeep\[mysql\]'"):
        driver("nodriver.aio", extra="mysql")


def test_a_driver_is_imported() -> None:
    assert driver("asyncio.queues", extra="x").Queue


def drivers() -> list[tuple[Path, str, str]]:
    """The file, the module and the extra of each call of `driver`."""
    call = re.compile(r'\bdriver\("([\w.]+)", extra="(\w+)"\)')
    return [
        (path, found[1].partition(".")[0], found[2])
        for path in PACKAGE.rglob("*.py")
        for found in call.finditer(path.read_text())
    ]


def test_a_driver_is_imported_in_the_folder_of_its_backend_alone() -> None:
    homes = {
        backend.extra: PACKAGE / kind.__name__.rpartition(".")[2] / backend.name
        for kind in (stores, caches)
        for backend in kind.BACKENDS
        if backend.extra
    }
    assert {extra for _, _, extra in drivers()} == {*homes}
    for path, _, extra in drivers():
        assert path.is_relative_to(homes[extra])


def test_the_import_contract_names_every_driver() -> None:
    contracts = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())
    [contract] = [
        one
        for one in contracts["tool"]["importlinter"]["contracts"]
        if one["name"] == "A driver is imported in its own room only"
    ]
    named = {module for _, module, _ in drivers()}
    assert {*contract["forbidden_modules"]} == named | {"bson", "sqlite3"}
    own = {
        f"guidkeep.{path.relative_to(PACKAGE).parts[0]}.{path.relative_to(PACKAGE).parts[1]}.**"
        f" -> {module}"
        for path, module, _ in drivers()
    }
    assert own <= {*contract["ignore_imports"]}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Installs a package whose entry point `broken` has that value, in both groups."""

    def install(value: str) -> None:
        about = tmp_path / "broken_backend-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(
            "".join(f"[{group}]\nbroken = {value}\n" for group in GROUPS)
        )
        (tmp_path / "broken_backend.py").write_text("import no_such_driver\n")
        monkeypatch.syspath_prepend(tmp_path)

    return install


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("broken_backend:Store", "No module named 'no_such_driver'"),
        ("no_such_package:Store", "No module named 'no_such_package'"),
        ("pathlib:NoStore", "has no attribute 'NoStore'"),
    ],
)
def test_an_entry_point_that_can_not_be_loaded_is_refused_with_a_sentence_wherever_it_is_opened(
    installed: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
    value: str,
    cause: str,
) -> None:
    installed(value)
    url = "broken://ann:secret@host"
    workers = Settings(store=url, cache="redis://", workers=2)
    for opened in (
        lambda: asyncio.run(open_store(url, timeout=1, metrics=Metrics())),
        lambda: open_cache(url, CacheOptions(max_age=1)),
        lambda: check(workers),
    ):
        with pytest.raises(StartupError) as refused:
            opened()
        assert f"broken = {value} in the group guidkeep." in str(refused.value)
        assert cause in str(refused.value)
    assert main(["copy", "--from", url, "--to", "sqlite:///to.db"]) == 2
    printed = capsys.readouterr().err
    assert cause in printed
    assert "--from: The entry point" in printed
    assert "secret" not in printed
