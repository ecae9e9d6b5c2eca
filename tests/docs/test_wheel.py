"""The wheel has all files of the package."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING
from zipfile import ZipFile

from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_the_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("guidkeep-*.whl")
    packed = {name for name in ZipFile(wheel).namelist() if name.startswith("guidkeep/")}
    listed = subprocess.run(
        ["git", "ls-files", "guidkeep"],
        cwd=ROOT / "src",
        check=True,
        capture_output=True,
        text=True,
    )
    assert packed == set(listed.stdout.split())
