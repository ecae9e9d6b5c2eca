"""The page on stores and caches of one's own: what it shows is installed, tested and served."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from guidkeep import Client
from guidkeep.cli.main import main
from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics
from guidkeep.server.supervisor import check
from guidkeep.settings import Settings
from guidkeep.stores import open_store
from tests.docs.pages import ROOT, text_of
from tests.server.processes import serving

if TYPE_CHECKING:
    from pathlib import Path

PAGE = text_of("docs/extending.md")
MODULES = re.findall(r"^```py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
KINDS = ("stores", "caches")


@pytest.fixture
def installed(tmp_path: Path) -> str:
    """PYTHONPATH with the example's package, its entry point as the page has it."""
    [name, value] = re.findall(r'^ +(\w+) = "([\w:]+)"$', PAGE, re.MULTILINE)[0]
    about = tmp_path / "journal_store-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: journal_store\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[guidkeep.stores]\n{name} = {value}\n")
    return os.pathsep.join([str(tmp_path), str(ROOT / "docs" / "examples")])


@pytest.mark.parametrize(("kind", "module"), [*zip(KINDS, MODULES, strict=True)], ids=KINDS)
def test_the_suite_passes_as_the_page_runs_it(
    installed: str, tmp_path: Path, kind: str, module: str
) -> None:
    (tmp_path / "test_mine.py").write_text(module)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--asyncio-mode=auto", "-q", "-p", "no:cacheprovider",
         "-p", "no:schemathesis", "test_mine.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": installed, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    assert re.search(r"^\d{2,} passed", run.stdout, re.MULTILINE), run.stdout


def test_a_server_keeps_its_records_in_it(installed: str, tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/records"
    with serving(url, environment={"PYTHONPATH": installed}) as server:
        with Client(server.address) as client:
            created = client.create({"user": "Ann"})
        assert server.stop() == 0
    with (
        serving(url, environment={"PYTHONPATH": installed}) as server,
        Client(server.address) as client,
    ):
        assert client.read(created.guid) == created


def test_workers_share_it_only_if_it_says_so(
    installed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in installed.split(os.pathsep):
        monkeypatch.syspath_prepend(folder)
    several = Settings(store=f"journal:///{tmp_path}/records", cache="redis://", workers=2)
    with pytest.raises(StartupError, match="several processes can open"):
        check(several)
    journal_store = importlib.import_module("journal_store")
    monkeypatch.setattr(journal_store.JournalStore, "is_shared", True, raising=False)
    check(several)


def test_a_copy_from_a_file_that_is_not_there_is_refused_and_creates_none(
    installed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for folder in installed.split(os.pathsep):
        monkeypatch.syspath_prepend(folder)
    missing, target = tmp_path / "misspelt", tmp_path / "target.db"
    assert main(["copy", "--from", f"journal:///{missing}", "--to", f"sqlite:///{target}"]) == 2
    assert f"--from: There is no file {missing}." in capsys.readouterr().err
    assert not missing.exists()
    assert not target.exists()


async def test_a_scheme_that_no_package_has_is_refused() -> None:
    with pytest.raises(StartupError, match="No store is named by 'nowhere:///x'"):
        await open_store("nowhere:///x", timeout=5, metrics=Metrics())
