"""What several rooms need of HTTP is stated once."""

from __future__ import annotations

import ast
from pathlib import Path

import guidkeep
from guidkeep import errors
from guidkeep.wire import media_types
from guidkeep.wire.problems import PROBLEMS

PACKAGE = Path(guidkeep.__file__).parent


def test_every_error_of_the_service_has_a_row_and_every_row_an_error() -> None:
    assert errors.by_code().keys() == PROBLEMS.keys()
    assert errors.GuidkeepError.code in PROBLEMS


def test_no_other_module_writes_a_media_type_of_json_again() -> None:
    types = {media_types.JSON, media_types.NDJSON, media_types.PROBLEM}
    again = {
        (path.name, node.value)
        for path in PACKAGE.rglob("*.py")
        if path.parent != PACKAGE / "wire"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and (node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value) in types
    }
    assert not again
