"""docs/client.md is what the docstrings say."""

from __future__ import annotations

import runpy

from tests.docs.pages import ROOT, text_of


def test_the_reference_is_current() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "reference.py"))
    text = text_of("docs/client.md")
    assert written["put_in"](text) == text, "run `make docs`"
    for name in written["guidkeep"].__all__:
        assert f"guidkeep.{name}" in text
