"""The rooms below `http/` know nothing of HTTP: no header, no status, no HTTP library.

The rooms are read from the layers in `pyproject.toml`, so that a new one can't be left out. The
import contracts check their imports.
"""

from __future__ import annotations

import ast
import re
import tomllib
from typing import TYPE_CHECKING

import pytest

import guidkeep
from guidkeep import errors
from guidkeep.http.connection.hits import OUT_OF_THE_ORDINARY
from guidkeep.http.problems import PROBLEMS
from guidkeep.http.responses import JSON, NOT_KEPT
from tests.docs.pages import ROOT, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTRACTS = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"]
LAYERS = next(one["layers"] for one in CONTRACTS if one["type"] == "layers")
BELOW = [
    name
    for layer in LAYERS[LAYERS.index("client | http") + 1 :]
    for name in layer.split(" | ")
    if name != "settings"  # its help speaks of responses, for the operator
]
HEADERS = {
    *OUT_OF_THE_ORDINARY,
    *(name for name, _ in [*JSON, *NOT_KEPT.headers]),
    *(name.encode() for problem in PROBLEMS.values() for name in problem.headers),
    b"etag", b"location", b"link", b"sunset", b"vary", b"content-encoding", b"x-request-id",
} - {b"allow", b"link", b"origin", b"upgrade"}  # they are words as well  # fmt: skip
COMMON_NUMBERS = {500}
"""A round number that may also be a count."""
STATUSES = {200, 201, 204, 304, *(row.status for row in PROBLEMS.values())} - COMMON_NUMBERS
_header = re.compile(
    "|".join(rf"(?<![\w-]){re.escape(name.decode())}(?![\w-])" for name in HEADERS), re.IGNORECASE
)
_word = re.compile(r"(?<![a-z])(http_?status|status_code|etag|http_headers?)(?![a-z])")


def modules() -> list[Path]:
    source = ROOT / "src" / "guidkeep"
    return [
        path
        for name in BELOW
        for path in [source / f"{name}.py", *sorted((source / name).rglob("*.py"))]
        if path.exists()
    ]


def known(tree: ast.AST) -> Iterator[str]:
    """Returns the names and numbers of HTTP in code, without prose."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in prose:
            value = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            if isinstance(value, str):
                yield from (found[0] for found in _header.finditer(value))
            elif value in STATUSES and not isinstance(value, bool):
                yield str(value)
        for name in ("id", "attr", "arg", "name"):
            if _word.search(str(getattr(node, name, ""))):
                yield str(getattr(node, name))


def test_there_are_such_rooms() -> None:
    assert {"registry", "stores", "caches", "record", "errors"} <= set(BELOW)
    assert len(modules()) > 60


def test_none_of_them_may_import_a_library_of_http() -> None:
    [contract] = [one for one in CONTRACTS if "httptools" in one.get("forbidden_modules", ())]
    named = {name.removeprefix("guidkeep.") for name in contract["source_modules"]}
    assert named == {*BELOW, "settings"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_below_http_knows_a_header_or_a_status(path: Path) -> None:
    assert not list(known(ast.parse(path.read_text())))


@pytest.mark.parametrize(
    "code",
    ['x = "If-Match"', 'x = b"retry-after: 1"', "x = 404", "record.etag", "f(status_code=1)"],
)
def test_what_is_known_would_be_seen(code: str) -> None:
    assert list(known(ast.parse(code)))


def test_every_error_has_a_row_and_every_row_an_error() -> None:
    assert errors.by_code().keys() == PROBLEMS.keys()
    assert guidkeep.errors.GuidkeepError.code in PROBLEMS
